package flow

import (
	"fmt"
	"strings"
)

// NATSConf returns deploy/nats/nats.conf: a server with the services as its
// users, which syncs every message to disk before it acknowledges it.
func NATSConf() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Made from pkg/flow by "make gen"; a test fails when it is out of date.
# Each service is a user with its own subjects only. The passwords come from the
# environment: letters and digits, at least one letter.

server_name: flota
listen: "0.0.0.0:4222"
http: "127.0.0.1:8222"

jetstream {
  store_dir: "/data"
  # Not every two minutes, as by default: what was acknowledged is on the disk.
  sync_interval: always
  max_file_store: %d
  max_memory_store: %d
}

authorization {
  users: [
`, MaxFileStore, MaxMemoryStore)
	for _, u := range Users() {
		fmt.Fprintf(&b, "    {\n      user: %q, password: $NATS_PASSWORD_%s\n      permissions: {\n",
			u.Service, strings.ToUpper(string(u.Service)))
		allow(&b, "publish", u.Publish)
		allow(&b, "subscribe", u.Subscribe)
		if u.Responds {
			fmt.Fprintf(&b, "        allow_responses: { max: 1, expires: %q }\n", MaxAnswerTime)
		}
		b.WriteString("      }\n    }\n")
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}

func allow(b *strings.Builder, what string, subjects []string) {
	fmt.Fprintf(b, "        %s: { allow: [\n", what)
	for _, s := range subjects {
		fmt.Fprintf(b, "          %q\n", s)
	}
	b.WriteString("        ] }\n")
}
