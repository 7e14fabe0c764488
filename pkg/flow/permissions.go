package flow

import (
	"slices"
	"strings"
	"time"
)

// MaxAnswerTime is how long a service may answer a request, for NATS: longer
// than any request's Timeout.
const MaxAnswerTime = time.Minute

// User is a service as NATS knows it: what it may publish and subscribe to.
type User struct {
	Service            Service
	Publish, Subscribe []string
	// Responds is set for those that answer requests: they may publish one
	// message to the reply subject of each (NATS' allow_responses).
	Responds bool
}

// Users returns every service's user.
func Users() []User {
	users := make([]User, len(Services))
	for i, s := range Services {
		publish, subscribe := Permissions(s)
		users[i] = User{
			Service: s, Publish: publish, Subscribe: subscribe,
			Responds: slices.ContainsFunc(Requests, func(r AnyRequest) bool { return r.By == s }),
		}
	}
	return users
}

// Permissions returns what a service's NATS user may publish and subscribe to:
// its own subjects and the JetStream calls that they need, nothing else. Nobody
// may delete a stream. Reply inboxes have the service's own prefix, so that none
// reads another's answers.
func Permissions(s Service) (publish, subscribe []string) {
	subscribe = []string{InboxPrefix(s) + ".>"}

	for _, st := range Streams {
		if st.Owner == s {
			publish = append(publish, own(st.Name)...)
		}
	}
	for _, sub := range Subjects {
		if slices.Contains(sub.From, s) {
			publish = append(publish, wildcard(sub.Pattern))
		}
		if slices.Contains(sub.Tail, s) {
			publish = append(publish, read(sub.Stream.Name)...)
		}
	}
	for _, c := range Consumers {
		if c.By == s {
			publish = append(publish, consume(c)...)
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
			publish = append(publish, "$JS.API.INFO") // the client asks whether the server can do markers
			publish = append(publish, own(stream)...)
		}
		if b.Writer == s {
			publish = append(publish, "$JS.API.STREAM.INFO."+stream, "$KV."+b.Name+".>")
		}
		if b.Owner == s || slices.Contains(b.Read, s) {
			publish = append(publish, read(stream)...)
			publish = append(publish, "$JS.FC."+stream+".>")
		}
	}
	slices.Sort(publish)
	slices.Sort(subscribe)
	return slices.Compact(publish), slices.Compact(subscribe)
}

// InboxPrefix is the prefix of a service's reply inboxes.
func InboxPrefix(s Service) string { return "_INBOX_" + string(s) }

// own is for a stream's owner: make it and its consumers, look at them, purge it.
func own(stream string) []string {
	return []string{
		"$JS.API.STREAM.CREATE." + stream,
		"$JS.API.STREAM.UPDATE." + stream,
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.STREAM.PURGE." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + ".>",
		"$JS.API.CONSUMER.INFO." + stream + ".>",
	}
}

// consume is for one durable consumer, or, where its name has braces, for all
// that have its filter.
func consume(c AnyConsumer) []string {
	stream, name := c.Stream.Name, c.Name
	if strings.Contains(name, "{") {
		name = "*"
	}
	return []string{
		"$JS.API.CONSUMER.CREATE." + stream + "." + name + "." + c.Filter,
		"$JS.API.CONSUMER.INFO." + stream + "." + name,
		"$JS.API.CONSUMER.MSG.NEXT." + stream + "." + name,
		"$JS.ACK." + stream + "." + name + ".>",
	}
}

// read is for reading along: a stream's tail or a bucket's watch.
func read(stream string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.CONSUMER.CREATE." + stream + ".>",
		"$JS.API.CONSUMER.INFO." + stream + ".>",
		"$JS.API.CONSUMER.DELETE." + stream + ".>",
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".>",
		"$JS.ACK." + stream + ".>",
	}
}
