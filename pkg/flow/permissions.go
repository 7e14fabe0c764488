package flow

import (
	"slices"
	"strings"
)

// Permissions returns what a service's NATS user may publish and subscribe to:
// its own subjects and the JetStream calls that they need, nothing else. Reply
// inboxes have the service's own prefix, so that none reads another's answers; a
// service that answers requests needs NATS' allow_responses besides.
func Permissions(s Service) (publish, subscribe []string) {
	subscribe = []string{InboxPrefix(s) + ".>"}
	publish = []string{"$JS.API.INFO", "$JS.FC.>"}

	for _, st := range Streams {
		if st.Owner == s {
			publish = append(publish, owner(st.Name)...)
		}
	}
	for _, sub := range Subjects {
		if slices.Contains(sub.From, s) {
			publish = append(publish, wildcard(sub.Pattern))
		}
	}
	for _, c := range Consumers {
		if c.By == s {
			publish = append(publish, consume(c.Stream.Name, consumerWord(c.Name))...)
		}
	}
	for _, r := range Requests {
		if r.By == s {
			subscribe = append(subscribe, r.Subject)
		}
		if slices.Contains(r.From, s) {
			publish = append(publish, r.Subject)
		}
	}
	for _, b := range Buckets {
		stream := "KV_" + b.Name
		if b.Owner == s {
			publish = append(publish, owner(stream)...)
		}
		if b.Writer == s {
			publish = append(publish, "$KV."+b.Name+".>")
		}
		if b.Owner == s || b.Writer == s || slices.Contains(b.Read, s) {
			publish = append(publish, tail(stream)...)
		}
	}
	if s == Editor {
		// The browser's event stream replays these.
		for _, st := range []*Stream{Logs, Projects, FleetChanges} {
			publish = append(publish, tail(st.Name)...)
		}
	}
	slices.Sort(publish)
	slices.Sort(subscribe)
	return slices.Compact(publish), slices.Compact(subscribe)
}

// InboxPrefix is the prefix of a service's reply inboxes.
func InboxPrefix(s Service) string { return "_INBOX_" + string(s) }

func owner(stream string) []string {
	return []string{"$JS.API.STREAM.*." + stream, "$JS.API.STREAM.*.*." + stream, "$JS.API.CONSUMER.*." + stream + ".>"}
}

func consume(stream, consumer string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + "." + consumer + ".>",
		"$JS.API.CONSUMER.INFO." + stream + "." + consumer,
		"$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer,
		"$JS.ACK." + stream + "." + consumer + ".>",
	}
}

func tail(stream string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.STREAM.MSG.GET." + stream,
		"$JS.API.DIRECT.GET." + stream + ".>",
		"$JS.API.DIRECT.GET." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + ".>",
		"$JS.API.CONSUMER.INFO." + stream + ".>",
		"$JS.API.CONSUMER.DELETE." + stream + ".>",
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".>",
		"$JS.ACK." + stream + ".>",
	}
}

// consumerWord turns a consumer's name into the word that permits it.
func consumerWord(name string) string {
	if strings.Contains(name, "{") {
		return "*"
	}
	return name
}
