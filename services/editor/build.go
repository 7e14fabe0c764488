package editor

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// State is where a build is.
//
//	queued → running → succeeded | failed | cancelled | error
//
// A build goes back from running to queued when the farm had trouble, and from
// queued to cancelled or error without having run.
type State string

// The states.
const (
	Queued    State = "queued"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed" // the compiler refused the source, or a limit ended it
	Cancelled State = "cancelled"
	Errored   State = "error" // the farm's own trouble
)

// Final reports whether nothing changes any more.
func (s State) Final() bool { return s != Queued && s != Running }

// Phase is what a running attempt is at.
type Phase string

// The phases.
const (
	Fetch   Phase = "fetch"
	Compile Phase = "compile"
	Upload  Phase = "upload"
)

// Build is one wish for firmware, and what became of it.
type Build struct {
	docstore.Meta `bson:",inline"`

	Workspace string `bson:"workspace"`
	Project   string `bson:"project"`
	Device    string `bson:"device,omitempty"` // of a product's own project
	Revision  int    `bson:"revision"`
	Tree      string `bson:"tree"`
	Main      string `bson:"main"`
	Kind      Kind   `bson:"kind"`
	FQBN      string `bson:"fqbn"` // canonical
	Author    string `bson:"author,omitempty"`
	Verbose   bool   `bson:"verbose,omitempty"`
	// Unmanaged is the project's at the time of asking.
	Unmanaged bool `bson:"unmanaged,omitempty"`
	// Toolchain is the digest that the farm offered when the build was made.
	Toolchain string `bson:"toolchain,omitempty"`

	State   State     `bson:"state"`
	Phase   Phase     `bson:"phase,omitempty"`
	Message string    `bson:"message,omitempty"` // a sentence, where it did not succeed
	Created time.Time `bson:"created"`
	Started time.Time `bson:"started,omitempty"`
	Ended   time.Time `bson:"ended,omitempty"`

	// Dispatch counts how often a job was published for it; Waiting is set while
	// one is out that nobody has claimed. Platform is where: Word(id@version).
	Dispatch   int       `bson:"dispatch"`
	Waiting    bool      `bson:"waiting"`
	Platform   string    `bson:"platform,omitempty"`
	Dispatched time.Time `bson:"dispatched,omitempty"`
	// NotBefore delays the next dispatch after trouble of the farm.
	NotBefore time.Time `bson:"not_before,omitempty"`

	// Attempt is the number of the newest attempt; only what it says counts.
	Attempt  int       `bson:"attempt"`
	Delivery Delivery  `bson:"delivery"` // the one that was granted it
	Worker   string    `bson:"worker,omitempty"`
	Deadline time.Time `bson:"deadline,omitempty"`
	Troubles int       `bson:"troubles,omitempty"` // attempts that ended by the farm's trouble
	// Fenced is the newest attempt whose worker has been told to stop.
	Fenced int `bson:"fenced,omitempty"`

	Result `bson:",inline"`
	// Cached says that the result is that of an earlier build.
	Cached bool `bson:"cached,omitempty"`
	// Log is the digest of the stored log; LogDue is set while it is still to be
	// stored.
	Log    string `bson:"log,omitempty"`
	LogDue bool   `bson:"log_due"`
}

// Delivery names one delivery of a job. The zero Delivery is unknown.
type Delivery struct {
	Sequence uint64 `bson:"sequence"` // of the job's message
	Count    int    `bson:"count"`    // how often it was delivered, from 1
}

// before reports whether d is surely older than other.
func (d Delivery) before(other Delivery) bool {
	if d.Sequence == 0 || other.Sequence == 0 {
		return false
	}
	return d.Sequence < other.Sequence || d.Sequence == other.Sequence && d.Count < other.Count
}

// Result is what came out of a build.
type Result struct {
	Diagnostics []Diagnostic `bson:"diagnostics,omitempty"`
	Outputs     []Output     `bson:"outputs,omitempty"`
	Memory      *Memory      `bson:"memory,omitempty"`
	Libraries   []Library    `bson:"libraries,omitempty"`
	// Agent is the update agent in the firmware; nil where it has none.
	Agent *Agent `bson:"agent,omitempty"`
	// Flash is how esptool writes the outputs; nil where it cannot.
	Flash *FlashBy `bson:"flash,omitempty"`
}

// Diagnostic is what a compiler said of a place; lines and columns count from
// 1, 0 where unknown.
type Diagnostic struct {
	File     string   `bson:"file,omitempty"`
	Line     int      `bson:"line,omitempty"`
	Column   int      `bson:"column,omitempty"`
	Severity Severity `bson:"severity"`
	Message  string   `bson:"message"`
}

// Severity of a diagnostic.
type Severity string

// The severities.
const (
	Note    Severity = "note"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Role is what an output is for.
type Role string

// The roles.
const (
	App        Role = "app" // what a device installs over the air
	ELF        Role = "elf"
	Map        Role = "map"
	Bootloader Role = "bootloader"
	Partitions Role = "partitions"
	Hex        Role = "hex"
	OTAData    Role = "otadata" // what a first flash writes to otadata
	Bundle     Role = "bundle"
	Index      Role = "index" // what a device installs over the air: the list of a MicroPython release's files
	BoardFile  Role = "file"  // one of them; its name is its path on the board
	Other      Role = "other"
)

// Output is one file that came out.
type Output struct {
	Role   Role   `bson:"role"`
	Name   string `bson:"name"`
	Size   int64  `bson:"size"`
	SHA256 string `bson:"sha256"` // lower-case hex
	// Offset is where a first flash by cable writes it, in bytes.
	Offset int64 `bson:"offset,omitempty"`
}

// Memory in bytes; a maximum of 0 means that the board declares none.
type Memory struct {
	FlashUsed int64 `bson:"flash_used"`
	FlashMax  int64 `bson:"flash_max"`
	RAMUsed   int64 `bson:"ram_used"`
	RAMMax    int64 `bson:"ram_max"`
}

// Agent is what FlotaOTA is and costs in a firmware: bytes that it adds.
type Agent struct {
	Version string `bson:"version"`
	Flash   int64  `bson:"flash"`
	RAM     int64  `bson:"ram"`
}

// FlashBy is esptool's arguments, from the core's own upload recipe; what is
// empty is esptool's own choice.
type FlashBy struct {
	Chip      string `bson:"chip"`
	Baud      int    `bson:"baud"`
	Mode      string `bson:"mode"`
	Frequency string `bson:"frequency"`
	Size      string `bson:"size"`
}

// FlashedAt returns where a first flash by cable writes an output, and whether
// it does: some chips have their bootloader at 0.
func (r *Result) FlashedAt(o Output) (offset int64, flashed bool) {
	return o.Offset, o.Offset > 0 || r.Flash != nil && o.Role == Bootloader
}

// Library is a library that the firmware contains.
type Library struct {
	Name    string `bson:"name"`
	Version string `bson:"version"`
}

const (
	maxTroubles    = 3             // attempts that may end by the farm's trouble
	maxAttempts    = 5             // of any kind: a build must not take down one worker after the other
	maxOutputs     = MaxFiles + 64 // an index names at most 256 files
	maxDiagnostics = 200
	maxMessage     = 2000 // bytes of a diagnostic or sentence
	maxWord        = 64
)

// dispatch marks the build as published to a platform.
func (b *Build) dispatch(platform, toolchain string, now time.Time) {
	b.Dispatch++
	b.Waiting, b.Platform, b.Toolchain, b.Dispatched = true, platform, toolchain, now
}

// claim grants the next attempt to the worker that got this delivery of the
// job. It reports false where there is nothing to do: the build is over, its
// time is over, or a later delivery has it. That the job was delivered again
// proves that the attempt before lost its lease, so that is fenced.
func (b *Build) claim(worker string, delivery Delivery, now time.Time, limit time.Duration) bool {
	switch {
	case b.State.Final(), delivery.before(b.Delivery):
		return false
	case b.State == Running && now.After(b.Deadline):
		return false // the sweeper ends it
	case b.Attempt >= maxAttempts:
		b.end(Errored, now, fmt.Sprintf("The build was tried %d times and no worker finished it.", b.Attempt))
		return false
	}
	if b.State == Running {
		b.Fenced = b.Attempt
	}
	b.State, b.Phase, b.Waiting = Running, "", false
	b.Attempt++
	b.Worker, b.Delivery = worker, delivery
	b.Started, b.Deadline = now, now.Add(limit)
	return true
}

// Current reports whether this attempt's word counts now.
func (b *Build) Current(attempt int) bool { return b.State == Running && b.Attempt == attempt }

// trouble puts the build back into the queue, or ends it where that happened
// too often.
func (b *Build) trouble(why string, now time.Time, wait time.Duration) {
	b.Troubles++
	if b.Troubles >= maxTroubles {
		b.end(Errored, now, fmt.Sprintf("The farm could not do this build in %d attempts: %s", b.Troubles, sentence(why)))
		return
	}
	b.State, b.Phase, b.Worker = Queued, "", ""
	b.Waiting, b.NotBefore = false, now.Add(wait<<(b.Troubles-1))
}

// stop ends the build whatever its worker does, which is told to stop.
func (b *Build) stop(state State, now time.Time, message string) {
	if b.State == Running {
		b.Fenced = b.Attempt
	}
	b.end(state, now, message)
}

// end makes the state final.
func (b *Build) end(state State, now time.Time, message string) {
	b.State, b.Phase, b.Waiting = state, "", false
	b.Ended, b.Message = now, clip(message, maxMessage)
	b.LogDue = b.Attempt > 0
}

// sentence makes a sentence of what may be empty.
func sentence(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "no reason was given."
	}
	return s
}

// clip cuts a text to at most n bytes, not within a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

var (
	sha256Hex  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	flashWord  = regexp.MustCompile(`^[a-z0-9]{0,16}$|^[0-9]{1,4}(KB|MB)$`)
	outputName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._ +-]{0,199}$`)
	boardPath  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$`)
)

// check refuses what a worker cannot have meant, and bounds what it may say.
func (r *Result) check() error {
	if len(r.Outputs) > maxOutputs {
		return fault.Field("outputs", "a build has at most %d outputs", maxOutputs)
	}
	names := map[string]bool{}
	for _, o := range r.Outputs {
		switch {
		case !o.named() || names[o.Name]:
			return fault.Field("outputs", "%.50q is not a name of its own", o.Name)
		case !sha256Hex.MatchString(o.SHA256):
			return fault.Field("outputs", "%s has no SHA-256", o.Name)
		case o.Size < 0 || o.Offset < 0:
			return fault.Field("outputs", "%s has an impossible size or offset", o.Name)
		}
		names[o.Name] = true
	}
	if a := r.Agent; a != nil {
		if a.Version == "" || a.Flash < 0 || a.RAM < 0 {
			return fault.Field("agent", "an agent without version, or of an impossible size")
		}
		a.Version = clip(a.Version, maxWord)
	}
	if f := r.Flash; f != nil {
		for _, word := range []string{f.Chip, f.Mode, f.Frequency, f.Size} {
			if !flashWord.MatchString(word) { // people paste it into a shell
				return fault.Field("flash", "%.50q is no argument of esptool", word)
			}
		}
		if f.Chip == "" || f.Baud < 0 {
			return fault.Field("flash", "no chip, or an impossible speed")
		}
	}
	r.Diagnostics = r.Diagnostics[:min(len(r.Diagnostics), maxDiagnostics)]
	for i := range r.Diagnostics {
		r.Diagnostics[i].Message = clip(r.Diagnostics[i].Message, maxMessage)
	}
	r.Libraries = r.Libraries[:min(len(r.Libraries), MaxFiles)]
	return nil
}

// named reports whether the output has a name that its role can have.
func (o Output) named() bool {
	if o.Role == BoardFile {
		return len(o.Name) <= maxPath && boardPath.MatchString(o.Name)
	}
	return outputName.MatchString(o.Name)
}

// Output returns the output of this name, or NotFound.
func (b *Build) Output(name string) (Output, error) {
	for _, o := range b.Outputs {
		if o.Name == name {
			return o, nil
		}
	}
	return Output{}, &fault.Error{Code: fault.NotFound, Field: "name", Message: "the build has no such output"}
}
