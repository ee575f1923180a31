package scan

func tlsChecks() []Check { return nil }
