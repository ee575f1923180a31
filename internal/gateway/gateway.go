// Package gateway is the path between a client and a store without any dialect: listeners, limits, who may come in from where,
// the registry of live sessions, and their end. An engine brings the wire protocol and calls the stages in their only
// possible order, because each takes what the one before returned: Admit -> Identify -> Enter -> Session.
package gateway
