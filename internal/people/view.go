package people

import "time"

// View is a search of the trail that somebody keeps under a name. It is theirs alone; what it finds is looked for anew each time.
type View struct {
	ID      string    `json:"id"`
	Subject string    `json:"-"`
	Name    string    `json:"name"`
	Query   string    `json:"query"` // as it stands in an address behind /trail?
	At      time.Time `json:"at"`    // when it was kept
}
