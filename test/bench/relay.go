package bench

import (
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Relay accepts clients and relays each to the server at address, decoding and encoding every message and flushing
// after each: what one writes first with a protocol library. It ends when the listener is closed.
func Relay(l net.Listener, address string) error {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() {
			defer client.Close()
			_ = relayOne(client, address) // a client that goes away is how every session ends
		}()
	}
}

// relayOne relays one session: the start and the login in turns, then each direction by itself.
func relayOne(client net.Conn, address string) error {
	server, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer server.Close()
	back, front := pgproto3.NewBackend(client, client), pgproto3.NewFrontend(server, server)
	if err := relayStart(client, back, front); err != nil {
		return err
	}
	if err := relayLogin(back, front); err != nil {
		return err
	}
	up := make(chan error, 1)
	go func() {
		up <- pump(back.Receive, func(m pgproto3.FrontendMessage) error {
			front.Send(m)
			return front.Flush()
		})
		_ = server.Close() // ends the other direction
	}()
	err = pump(front.Receive, func(m pgproto3.BackendMessage) error {
		back.Send(m)
		return back.Flush()
	})
	_ = client.Close()
	return errors.Join(err, <-up)
}

// pump forwards messages until either side ends.
func pump[M any](receive func() (M, error), send func(M) error) error {
	for {
		m, err := receive()
		if err != nil {
			return err
		}
		if err := send(m); err != nil {
			return err
		}
	}
}

// relayStart refuses encryption and forwards the startup message.
func relayStart(client net.Conn, back *pgproto3.Backend, front *pgproto3.Frontend) error {
	for {
		m, err := back.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		switch m.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := client.Write([]byte{'N'}); err != nil {
				return err
			}
		default:
			front.Send(m)
			return front.Flush()
		}
	}
}

// relayLogin forwards messages in turns until the server is ready for a query.
func relayLogin(back *pgproto3.Backend, front *pgproto3.Frontend) error {
	for {
		m, err := front.Receive()
		if err != nil {
			return err
		}
		answer := true
		switch m.(type) {
		case *pgproto3.AuthenticationSASL:
			err = back.SetAuthType(pgproto3.AuthTypeSASL)
		case *pgproto3.AuthenticationSASLContinue:
			err = back.SetAuthType(pgproto3.AuthTypeSASLContinue)
		case *pgproto3.AuthenticationCleartextPassword:
			err = back.SetAuthType(pgproto3.AuthTypeCleartextPassword)
		default:
			answer = false
		}
		if err != nil {
			return err
		}
		back.Send(m)
		if err := back.Flush(); err != nil {
			return err
		}
		if _, ready := m.(*pgproto3.ReadyForQuery); ready {
			return nil
		}
		if !answer {
			continue
		}
		reply, err := back.Receive()
		if err != nil {
			return err
		}
		front.Send(reply)
		if err := front.Flush(); err != nil {
			return err
		}
	}
}
