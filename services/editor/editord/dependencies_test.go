package editord_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/editor/editord"
	"github.com/flota/flota/services/editor/httpapi"
	"github.com/flota/flota/services/editor/mip/miptest"
)

// withIndex lets the service fetch from a package index on loopback.
func withIndex(t *testing.T, index *miptest.Index) *kit {
	t.Helper()
	address, err := url.Parse(index.URL + "/")
	must(t, err)
	return start(t, func(c *editord.Config) {
		c.MIP.Index, c.MIP.Allow = *address, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
}

// resolve asks for the packages and returns what is told, line by line.
func (k *kit) resolve(ctx context.Context, project string, wish m) (events []httpapi.ResolveEvent, kind string) {
	k.t.Helper()
	body, err := json.Marshal(wish)
	must(k.t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+httpapi.Base+"/projects/"+project+"/dependencies", strings.NewReader(string(body)))
	must(k.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+k.token(person(identity.Maintainer)))
	answer, err := http.DefaultClient.Do(r)
	if err != nil && ctx.Err() != nil {
		return nil, ""
	}
	must(k.t, err)
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		var e httpapi.ResolveEvent
		must(k.t, json.Unmarshal(lines.Bytes(), &e))
		events = append(events, e)
	}
	return events, answer.Header.Get("Content-Type")
}

// Packages are fetched, told as it happens, and become part of the project at once;
// what goes wrong leaves it as it is.
func TestDependencies(t *testing.T) {
	index := miptest.New(t)
	index.Package("umqtt.simple", "latest", m{"version": "1.6.0", "hashes": index.Hashes(map[string]string{"umqtt/simple.py": "class MQTTClient: pass\n"}), "deps": [][2]string{{"ssl", "latest"}}})
	index.Package("ssl", "latest", m{"version": "0.2.1", "hashes": index.Hashes(map[string]string{"ssl.py": "import tls\n"})})
	index.Package("inside", "latest", m{"urls": [][2]string{{"x.py", index.URL + "/redirect?to=http%3A%2F%2F127.0.0.2%3A1%2F"}}})
	k := withIndex(t, index)
	p := k.project("micropython-blink")

	events, kind := k.resolve(t.Context(), p.Id, m{"deps": []m{{"name": "umqtt.simple", "version": ""}}})
	last := events[len(events)-1]
	if kind != "application/x-ndjson" || len(events) != 5 || events[0].Progress == nil || last.Project == nil {
		t.Fatalf("%s: %+v", kind, events)
	}
	if got := events[3].Progress; got.Packages != 1 || got.Files != 1 || got.Doing != "ssl.py of ssl" {
		t.Errorf("at last %+v", got)
	}
	paths := ""
	for _, f := range last.Project.Files {
		paths += f.Path + " "
	}
	if paths != "blinker.py lib/ssl.py lib/umqtt/simple.py main.py package.json package.lock.json " {
		t.Errorf("its files: %s", paths)
	}
	var has httpapi.Dependencies
	k.owner("GET", "/projects/"+p.Id+"/dependencies", nil, &has, 200)
	if !has.Resolved || len(has.Packages) != 2 || has.Packages[1].Version != "0.2.1" || has.Packages[1].Files[0].State != httpapi.Kept ||
		has.Wanted[0] != (httpapi.Dependency{Name: "umqtt.simple", Version: "latest"}) {
		t.Errorf("it has %+v", has)
	}

	events, _ = k.resolve(t.Context(), p.Id, m{"deps": []m{{"name": "umqtt.simple"}, {"name": "inside"}}})
	told := events[len(events)-1].Problem
	if told == nil || told.Code != "forbidden" || *told.Field != "deps" || !strings.Contains(*told.Detail, "127.0.0.2 is not on the public Internet") {
		t.Errorf("told %+v", told)
	}
	var after httpapi.Project
	k.owner("GET", "/projects/"+p.Id, nil, &after, 200)
	if len(after.Files) != 6 || after.ChangedAt != last.Project.ChangedAt {
		t.Errorf("after a refusal: %+v", after)
	}
	k.owner("PUT", "/projects/"+p.Id+"/file?path=package.json", m{"content": "nonsense"}, nil, 200)
	k.owner("POST", "/projects/"+p.Id+"/dependencies", m{}, nil, 400)
	k.owner("GET", "/projects/"+p.Id+"/dependencies", nil, nil, 400)
}

// Who goes away cancels it, and so does the end of the service.
func TestDependenciesAreCancelled(t *testing.T) {
	index := miptest.New(t)
	k := withIndex(t, index)
	p := k.project("micropython-blink")
	ctx, cancel := context.WithCancel(t.Context())
	gone := index.Stuck("/package/py/slow/latest.json", cancel)
	k.resolve(ctx, p.Id, m{"deps": []m{{"name": "slow"}}})
	<-gone

	gone = index.Stuck("/package/py/slow/latest.json", func() { go k.stop() })
	events, _ := k.resolve(t.Context(), p.Id, m{"deps": []m{{"name": "slow"}}})
	<-gone
	if told := events[len(events)-1].Problem; told == nil || told.Code != "unavailable" {
		t.Errorf("told %+v", told)
	}
}
