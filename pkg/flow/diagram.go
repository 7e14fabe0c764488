package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Diagram returns the map as a picture (a mermaid flowchart) and tables, in
// Markdown, for proto/README.md.
func Diagram() string {
	var b strings.Builder
	picture(&b)
	streamTable(&b)
	subjectTable(&b)
	requestTable(&b)
	bucketTable(&b)
	return b.String()
}

// picture draws services as boxes and streams and buckets as barrels. Messages
// and values flow along the arrows; dotted ones are questions.
func picture(b *strings.Builder) {
	b.WriteString("```mermaid\nflowchart LR\n")
	for _, s := range Services {
		fmt.Fprintf(b, "  %s[%s]\n", s, s)
	}
	for _, s := range Streams {
		fmt.Fprintf(b, "  %s[(%s)]\n", s.Name, s.Name)
	}
	for _, k := range Buckets {
		fmt.Fprintf(b, "  kv-%s[(\"bucket %s\")]\n", k.Name, k.Name)
	}

	labels := map[string][]string{} // an arrow's labels
	var arrows []string             // in the order of the map
	arrow := func(from, to, label string) {
		key := from + " -->|%s| " + to
		if _, known := labels[key]; !known {
			arrows = append(arrows, key)
		}
		if !slices.Contains(labels[key], label) {
			labels[key] = append(labels[key], label)
		}
	}
	for _, s := range Subjects {
		for _, from := range s.From {
			arrow(string(from), s.Stream.Name, s.Pattern)
		}
		for _, to := range s.Tail {
			arrow(s.Stream.Name, string(to), "reads along")
		}
	}
	for _, c := range Consumers {
		arrow(c.Stream.Name, string(c.By), "handles")
	}
	for _, a := range arrows {
		fmt.Fprintf(b, "  "+a+"\n", quote(strings.Join(labels[a], "<br/>")))
	}
	for _, r := range Requests {
		for _, from := range r.From {
			fmt.Fprintf(b, "  %s -.->|%s| %s\n", from, quote(r.Subject), r.By)
		}
	}
	for _, k := range Buckets {
		fmt.Fprintf(b, "  %s --> kv-%s\n", k.Writer, k.Name)
		for _, to := range k.Read {
			fmt.Fprintf(b, "  kv-%s --> %s\n", k.Name, to)
		}
	}
	b.WriteString("```\n")
}

func quote(label string) string { return `"` + label + `"` }

func streamTable(b *strings.Builder) {
	b.WriteString("\n### Streams\n\n| stream | made by | keeps | at most | when full | what for |\n|---|---|---|---|---|---|\n")
	for _, s := range Streams {
		keeps := map[jetstream.RetentionPolicy]string{
			jetstream.LimitsPolicy: "all", jetstream.InterestPolicy: "what is not yet handled", jetstream.WorkQueuePolicy: "what is not yet done",
		}[s.Retention]
		full := "drops the oldest"
		if s.Discard == jetstream.DiscardNew {
			full = "refuses more"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s, for %s%s | %s | %s | %s |\n",
			s.Name, s.Owner, keeps, span(s.MaxAge), where(s.Storage), size(s.MaxBytes), full, cell(s.Doc))
	}
}

func subjectTable(b *strings.Builder) {
	b.WriteString("\n### Subjects and who takes them\n\n| subject | message | from | to | |\n|---|---|---|---|---|\n")
	for _, s := range Subjects {
		var to []string
		for _, c := range Consumers {
			if c.Stream == s.Stream && c.Filter == wildcard(s.Pattern) {
				to = append(to, fmt.Sprintf("%s (`%s`, lease %s, %d tries): %s", c.By, c.Name, span(c.AckWait), c.MaxDeliver, cell(c.Doc)))
			}
		}
		for _, t := range s.Tail {
			to = append(to, fmt.Sprintf("%s reads along", t))
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s | %s | %s |\n", s.Pattern, s.Message, list(s.From), strings.Join(to, "<br/>"), cell(s.Doc))
	}
}

func requestTable(b *strings.Builder) {
	b.WriteString("\n### Requests\n\n| request | asked by | answered within | question → answer | |\n|---|---|---|---|---|\n")
	for _, r := range Requests {
		fmt.Fprintf(b, "| `%s` | %s | %s | `%s` → `%s` | %s |\n", r.Subject, list(r.From), span(r.Timeout), r.Question, r.Reply, cell(r.Doc))
	}
}

func bucketTable(b *strings.Builder) {
	b.WriteString("\n### Buckets\n\n| bucket | value | written by | read by | keeps | at most | |\n|---|---|---|---|---|---|---|\n")
	for _, k := range Buckets {
		keeps := "until removed"
		if k.TTL > 0 {
			keeps = span(k.TTL) + " after the last write"
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s | %s | %s%s | %s | %s |\n",
			k.Name, k.Message, k.Writer, list(k.Read), keeps, where(k.Storage), size(k.MaxBytes), cell(k.Doc))
	}
}

// cell is text as it stands in a table's cell.
func cell(text string) string { return strings.NewReplacer("<", "&lt;", "|", `\|`).Replace(text) }

func where(s jetstream.StorageType) string {
	if s == jetstream.MemoryStorage {
		return ", in memory"
	}
	return ""
}

func list(services []Service) string {
	words := make([]string, len(services))
	for i, s := range services {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// span is a duration in its largest whole unit: "14 d", "1 h", "30 s".
func span(d time.Duration) string {
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}} {
		if d >= unit.of && d%unit.of == 0 {
			return fmt.Sprintf("%d %s", d/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

func size(bytes int64) string {
	if bytes >= gib {
		return fmt.Sprintf("%d GiB", bytes/gib)
	}
	return fmt.Sprintf("%d MiB", bytes/mib)
}
