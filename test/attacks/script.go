package attacks

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// step is one step of an extended-script entry: a word and what belongs to it.
type step []any

// word is what stands at a place, as text; what is left out is empty.
func (s step) word(i int) string {
	if i < len(s) {
		return fmt.Sprint(s[i])
	}
	return ""
}

// number is what stands at a place, as a number; what is left out is 0.
func (s step) number(i int) uint32 {
	if i < len(s) {
		if n, ok := s[i].(int); ok {
			return uint32(n)
		}
	}
	return 0
}

// list is what stands at a place, as a list.
func (s step) list(i int) []any {
	if i < len(s) {
		l, _ := s[i].([]any)
		return l
	}
	return nil
}

// script plays the steps of an extended-script entry. Each sync ends a round; query, queryhex and call are rounds of their own.
func (w *Wire) script(steps [][]any, reply *Reply) error {
	var batch []pgproto3.FrontendMessage
	for _, s := range steps {
		m, err := step(s).message()
		if err != nil {
			return err
		}
		batch = append(batch, m)
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.Query, *pgproto3.FunctionCall:
			if err := w.round(reply, batch...); err != nil {
				return err
			}
			batch = nil
		}
	}
	return nil
}

// message is what a step sends.
func (s step) message() (pgproto3.FrontendMessage, error) {
	switch s.word(0) {
	case "parse": // name, text, numbers of parameter types
		p := &pgproto3.Parse{Name: s.word(1), Query: s.word(2)}
		for i := range s.list(3) {
			p.ParameterOIDs = append(p.ParameterOIDs, step(s.list(3)).number(i))
		}
		return p, nil
	case "bind": // statement, parameters, portal, formats of results
		return s.bind()
	case "describe": // S or P, name
		return &pgproto3.Describe{ObjectType: s.word(1)[0], Name: s.word(2)}, nil
	case "execute": // portal, most rows
		return &pgproto3.Execute{Portal: s.word(1), MaxRows: s.number(2)}, nil
	case "close": // statement
		return &pgproto3.Close{ObjectType: 'S', Name: s.word(1)}, nil
	case "closeportal": // portal
		return &pgproto3.Close{ObjectType: 'P', Name: s.word(1)}, nil
	case "flush":
		return &pgproto3.Flush{}, nil
	case "sync":
		return &pgproto3.Sync{}, nil
	case "query": // text
		return &pgproto3.Query{String: s.word(1)}, nil
	case "queryhex": // bytes of a text, which may be none
		text, err := hex.DecodeString(s.word(1))
		return &pgproto3.Query{String: string(text)}, err
	case "call": // number of a function, bytes of its argument
		arg, err := hex.DecodeString(s.word(2))
		return &pgproto3.FunctionCall{Function: s.number(1), ArgFormatCodes: []uint16{1}, Arguments: [][]byte{arg}, ResultFormatCode: 1}, err
	}
	return nil, fmt.Errorf("unknown step %q", s.word(0))
}

// bind is a Bind. A parameter is a text, or {hex: …} for bytes.
func (s step) bind() (*pgproto3.Bind, error) {
	b := &pgproto3.Bind{PreparedStatement: s.word(1), DestinationPortal: s.word(3)}
	for _, p := range s.list(2) {
		value := []byte(fmt.Sprint(p))
		if m, ok := p.(map[string]any); ok {
			var err error
			if value, err = hex.DecodeString(fmt.Sprint(m["hex"])); err != nil {
				return nil, err
			}
		}
		b.Parameters = append(b.Parameters, value)
	}
	for format := range strings.SplitSeq(s.word(4), ",") {
		if format != "" {
			b.ResultFormatCodes = append(b.ResultFormatCodes, int16(format[0]-'0'))
		}
	}
	return b, nil
}
