package editor

// Catalogue is what a platform at one version has to offer.
type Catalogue struct {
	Name   string
	Boards []Board
}

// Board is something to build for.
type Board struct {
	FQBN    string // without options
	Name    string
	Kind    Kind
	Options []*Option // boards share them: they are not to be changed
}

// Option is a choice that a board offers.
type Option struct {
	ID, Label string
	Values    []OptionValue
}

// OptionValue is one of an option's values.
type OptionValue struct {
	ID, Label string
	Default   bool
}
