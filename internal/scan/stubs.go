package scan

func tlsChecks() []Check         { return nil }
func roleChecks() []Check        { return nil }
func privilegeChecks() []Check   { return nil }
func rowSecurityChecks() []Check { return nil }
func functionChecks() []Check    { return nil }
func extensionChecks() []Check   { return nil }
func loggingChecks() []Check     { return nil }
func patchChecks() []Check       { return nil }
func secretChecks() []Check      { return nil }
func dataChecks() []Check        { return nil }
func replicationChecks() []Check { return nil }
func metaChecks() []Check        { return nil }
