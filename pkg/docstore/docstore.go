// Package docstore keeps small typed documents: a collection of structs with an
// ID, a revision, and indexes declared in code. Every change is a compare-and-set
// on the revision, and a document may carry messages that must follow it (see
// Relay). Adapters are in the subpackages sqlite and mongo; one conformance suite,
// docstoretest, holds both to the same behaviour.
//
// An entity embeds Meta inline and has bson tags only:
//
//	type Project struct {
//		docstore.Meta `bson:",inline"`
//		Workspace     string    `bson:"workspace"`
//		Name          string    `bson:"name"`
//		Changed       time.Time `bson:"changed"` // stored in milliseconds, UTC
//	}
//
//	projects, err := docstore.Open[Project](ctx, db, "projects",
//		docstore.Index{Name: "name", Fields: []string{"workspace", "name"}, Unique: true},
//		docstore.Index{Name: "recent", Fields: []string{"workspace", "changed"}})
package docstore

// Meta is what every document has; entities embed it inline. Callers choose ID and
// leave Rev and Outbox to this package.
type Meta struct {
	ID string `bson:"_id" json:"_id"`
	// Rev counts the changes, 1 for a new document. Sending the outbox counts as one.
	Rev int64 `bson:"rev" json:"rev"`
	// Outbox holds, in order, the messages that are not yet known to be sent.
	Outbox []Message `bson:"outbox,omitempty" json:"outbox,omitempty"`
}

// Message is a bus message that must follow the document which carries it.
type Message struct {
	ID      string `bson:"id" json:"id"` // the same in every delivery, so that the bus can drop a repeated one
	Subject string `bson:"subject" json:"subject"`
	Data    []byte `bson:"data" json:"data"`
}

// Post adds a message to the outbox. It is committed with the document by the next
// Insert, Replace or Update, and sent afterwards by the Relay.
func (m *Meta) Post(subject, id string, data []byte) {
	m.Outbox = append(m.Outbox, Message{ID: id, Subject: subject, Data: data})
}

func (m *Meta) meta() *Meta { return m }

// entity is implemented by exactly the pointers to structs that embed Meta.
type entity interface{ meta() *Meta }
