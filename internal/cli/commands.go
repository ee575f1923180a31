package cli

import "github.com/spf13/cobra"

// commands lists the verbs, in the order of design.md §8.
func (a *app) commands() []*cobra.Command {
	all := []*cobra.Command{
		a.demo(), a.init(), a.plan(), a.apply(), a.verify(), a.suspend(), a.resume(), a.serve(), a.whoCan(), a.explain(), a.discover(), a.scan(), a.hba(), a.audit(), a.user(), a.ldap(), a.policy(),
		a.login(), a.logout(), a.run(), a.connect(), a.request(), a.approve(), a.deny(), a.revoke(), a.grants(), a.review(), a.token(), a.certs(), a.state(),
	}
	return all
}
