package bus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
)

// may says whether a service's user may do something: the server reports what
// it refuses on the connection.
func may(t *testing.T, server *bustest.NATS, s flow.Service, do func(*nats.Conn)) bool {
	t.Helper()
	nc, err := nats.Connect(server.URL(), nats.UserInfo(string(s), server.Password(s)), nats.CustomInboxPrefix(flow.InboxPrefix(s)),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	must(t, err)
	defer nc.Close()
	do(nc)
	must(t, nc.Flush())
	err = nc.LastError()
	if err != nil && !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("%s: %v", s, err)
	}
	return err == nil
}

func publishTo(subject string) func(*nats.Conn) {
	return func(nc *nats.Conn) { _ = nc.Publish(subject, nil) }
}

func subscribeTo(subject string) func(*nats.Conn) {
	return func(nc *nats.Conn) { _, _ = nc.SubscribeSync(subject) }
}

// Each service may do what the map says of it, and no other may.
func TestPermissionsAreTheMap(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	check := func(s flow.Service, want bool, what string, do func(*nats.Conn)) {
		t.Helper()
		if got := may(t, server, s, do); got != want {
			t.Errorf("%s may %s: %v, not %v", s, what, got, want)
		}
	}
	word := strings.NewReplacer("{", "", "}", "")
	for _, s := range flow.Services {
		for _, sub := range flow.Subjects {
			subject := word.Replace(sub.Pattern)
			check(s, slices.Contains(sub.From, s), "publish "+subject, publishTo(subject))
			check(s, false, "subscribe to "+subject, subscribeTo(subject))
			read := slices.Contains(sub.Tail, s) || sub.Stream.Owner == s
			create := "$JS.API.CONSUMER.CREATE." + sub.Stream.Name + ".tail." + sub.Pattern
			check(s, read || sub.Stream == flow.Jobs && s == flow.Compiler, "make a consumer for "+sub.Pattern, publishTo(create))
		}
		for _, c := range flow.Consumers {
			name := c.Stream.Name + "." + word.Replace(c.Name)
			check(s, c.By == s, "take from "+name, publishTo("$JS.API.CONSUMER.MSG.NEXT."+name))
			check(s, c.By == s, "acknowledge to "+name, publishTo("$JS.ACK."+name+".1.1.1.1.1"))
		}
		for _, r := range flow.Requests {
			check(s, slices.Contains(r.From, s), "ask "+r.Subject, publishTo(r.Subject))
			check(s, r.By == s, "answer "+r.Subject, subscribeTo(r.Subject))
		}
		for _, b := range flow.Buckets {
			stream := "KV_" + b.Name
			check(s, b.Writer == s, "put into "+b.Name, publishTo("$KV."+b.Name+".key"))
			check(s, b.Owner == s || slices.Contains(b.Read, s), "watch "+b.Name, publishTo("$JS.API.CONSUMER.CREATE."+stream+".w.$KV."+b.Name+".>"))
			check(s, false, "subscribe to "+b.Name, subscribeTo("$KV."+b.Name+".>"))
			check(s, false, "read a message of "+b.Name, publishTo("$JS.API.DIRECT.GET."+stream+".$KV."+b.Name+".key"))
			check(s, false, "delete "+b.Name, publishTo("$JS.API.STREAM.DELETE."+stream))
		}
		for _, stream := range flow.Streams {
			check(s, stream.Owner == s, "make "+stream.Name, publishTo("$JS.API.STREAM.CREATE."+stream.Name))
			check(s, stream.Owner == s, "purge "+stream.Name, publishTo("$JS.API.STREAM.PURGE."+stream.Name))
			check(s, false, "delete "+stream.Name, publishTo("$JS.API.STREAM.DELETE."+stream.Name))
		}
		for _, other := range flow.Services {
			check(s, other == s, "read the inbox of "+string(other), subscribeTo(flow.InboxPrefix(other)+".>"))
			check(s, false, "publish to the inbox of "+string(other), publishTo(flow.InboxPrefix(other)+".x"))
		}
		for _, all := range []string{">", "*", "_INBOX.>", "$JS.>", "$SYS.>"} {
			check(s, false, "subscribe to "+all, subscribeTo(all))
		}
		check(s, false, "make any stream", publishTo("$JS.API.STREAM.CREATE.MINE"))
	}
}

// What a compile worker that was taken over tries in vain.
func TestCompilerIsConfined(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	auth, artifact, fleet, compiler := server.Connect(flow.Auth), server.Connect(flow.Artifact), server.Connect(flow.Fleet), server.Connect(flow.Compiler)
	key := &authv1.DeviceKey{Device: "d1", SealedKeyHash: []byte("sealed")}
	must(t, bus.Put(t.Context(), auth, flow.DeviceKeys, "d1", key))

	js := compiler.JS()
	attempts := map[string]func(context.Context) error{
		"read the device keys": func(ctx context.Context) error {
			_, err := js.KeyValue(ctx, flow.DeviceKeys.Name)
			return err
		},
		"consume the device keys": func(ctx context.Context) error {
			_, err := js.CreateConsumer(ctx, "KV_"+flow.DeviceKeys.Name, jetstream.ConsumerConfig{Name: "mine"})
			return err
		},
		"have the device keys delivered": func(ctx context.Context) error {
			_, err := js.CreateConsumer(ctx, "KV_"+flow.DeviceKeys.Name, jetstream.ConsumerConfig{Name: "mine", FilterSubject: "jobs.build.*.*"})
			return err
		},
		"change a device key": func(ctx context.Context) error {
			return bus.Put(ctx, compiler, flow.DeviceKeys, "d1", &authv1.DeviceKey{})
		},
		"report for a device": func(ctx context.Context) error {
			return bus.Publish(ctx, compiler, flow.DeviceReported, &artifactv1.DeviceReported{Device: "d1", State: "confirmed"}, "", "d1")
		},
		"delete a stream": func(ctx context.Context) error { return js.DeleteStream(ctx, flow.Jobs.Name) },
		"make a stream that copies another": func(ctx context.Context) error {
			_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "MINE", Mirror: &jetstream.StreamSource{Name: "KV_" + flow.DeviceKeys.Name}})
			return err
		},
	}
	for what, attempt := range attempts {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := attempt(ctx); err == nil {
			t.Errorf("a compiler could %s", what)
		}
		cancel()
	}

	all, err := bus.Snapshot(t.Context(), artifact, flow.DeviceKeys)
	must(t, err)
	if string(all["d1"].GetSealedKeyHash()) != "sealed" {
		t.Errorf("the key is now %v", all["d1"])
	}
	if n := stored(t, fleet, flow.Devices); n != 0 {
		t.Errorf("%d reports", n)
	}
}
