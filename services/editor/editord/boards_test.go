package editord_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/editor/httpapi"
)

// bigOffer is a core like those for ESP32 and RP2040: 500 boards with 20 options
// each, which they share.
func bigOffer() *compilerv1.PlatformOffer {
	offer := &compilerv1.PlatformOffer{Name: "Big core"}
	var places []uint32
	for o := range 20 {
		option := &compilerv1.BoardOption{Id: fmt.Sprintf("Option%d", o), Label: fmt.Sprintf("The option %d", o)}
		for v := range 3 + o%12 {
			option.Values = append(option.Values, &compilerv1.BoardOptionValue{
				Id: fmt.Sprintf("value_%d", v), Label: fmt.Sprintf("Default %dMB with spiffs (1.2MB APP/1.5MB SPIFFS)", v), Selected: v == 0,
			})
		}
		offer.Options, places = append(offer.Options, option), append(places, uint32(o))
	}
	for b := range 500 {
		offer.Boards = append(offer.Boards, &compilerv1.Board{
			Fqbn: fmt.Sprintf("big:core:board_%d", b), Name: fmt.Sprintf("Board %d", b), Kind: compilerv1.Kind_KIND_ARDUINO, Options: places,
		})
	}
	offer.Boards[0].Options = []uint32{3, 1, 99} // there is no 99
	return offer
}

// tell says that a worker is there which offers the big core.
func (k *kit) tell() bool {
	said := &compilerv1.Worker{
		Worker: "w1", Slots: 1, Free: 1,
		Platforms: []*compilerv1.Platform{{Id: "big:core", Version: "1", Toolchain: "t"}},
	}
	return bus.Put(k.t.Context(), k.worker, flow.Workers, "w1", said) == nil
}

func (k *kit) describe() bool {
	return bus.Put(k.t.Context(), k.worker, flow.Platforms, flow.PlatformKey("big:core", "1", "t"), bigOffer()) == nil
}

// boards asks for the boards, compressed if wanted, and says how many bytes came.
func (k *kit) boards(encoding string) (farm httpapi.Farm, size int) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, k.url+httpapi.Base+"/boards", nil)
	must(k.t, err)
	r.Header.Set("Authorization", "Bearer "+k.token(person(identity.Viewer)))
	r.Header.Set("Accept-Encoding", encoding)
	answer, err := http.DefaultClient.Do(r)
	must(k.t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return farm, 0 // an outage
	}
	sent := &counter{Reader: answer.Body}
	var body io.Reader = sent
	if got := answer.Header.Get("Content-Encoding"); got == "gzip" {
		body, err = gzip.NewReader(sent)
		must(k.t, err)
	}
	must(k.t, json.NewDecoder(body).Decode(&farm))
	return farm, sent.n
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// offers says how many boards the editor knows of; -1 while it does not answer.
func (k *kit) offers() int {
	farm, size := k.boards("gzip")
	if size == 0 {
		return -1
	}
	n := 0
	for _, p := range farm.Platforms {
		n += len(p.Boards)
	}
	return n
}

// The boards of a big core come with all of their options, small on the wire,
// and builds for them may choose among these.
func TestBoardsOfABigCore(t *testing.T) {
	k := start(t)
	eventually(t, "the bus takes it", func() bool { return k.tell() && k.describe() })
	eventually(t, "the boards are known", func() bool { return k.offers() == 500 })

	farm, plain := k.boards("identity")
	start := time.Now()
	same, compressed := k.boards("gzip")
	t.Logf("%d bytes, compressed %d in %v", plain, compressed, time.Since(start))
	if len(same.Platforms) != 1 || compressed*20 > plain {
		t.Errorf("%d bytes, compressed %d", plain, compressed)
	}
	p := farm.Platforms[0]
	if p.Name != "Big core" || p.Id != "big:core" || p.Version != "1" {
		t.Errorf("%s %s %s", p.Id, p.Version, p.Name)
	}
	if o := p.Boards[0].Options; len(o) != 2 || o[0].Id != "Option3" || o[1].Id != "Option1" {
		t.Errorf("%+v", o)
	}
	if o := p.Boards[499].Options; len(o) != 20 || len(o[3].Values) != 6 || !o[3].Values[0].Selected || o[3].Values[1].Selected || o[3].Values[1].Id != "value_1" {
		t.Errorf("%+v", o)
	}
	project := k.project("blink")
	b := k.build(project.Id, m{"fqbn": "big:core:board_7:Option2=value_1,Option1=value_2,Option0=value_0"})
	if b.Fqbn != "big:core:board_7:Option1=value_2,Option2=value_1" {
		t.Errorf("built for %s", b.Fqbn)
	}
	if status := k.call(k.token(person(identity.Owner)), "POST", "/projects/"+project.Id+"/builds", m{"fqbn": "big:core:board_7:Option1=nine"}, nil); status != 422 && status != 400 {
		t.Errorf("a value that there is not: %d", status)
	}
}

// An editor that starts later knows what was said before; one whose bus lost
// everything knows it again when it is said again, in whatever order.
func TestBoardsAreFoundAgain(t *testing.T) {
	k := start(t)
	k.stop()
	eventually(t, "the bus takes it", func() bool { return k.tell() && k.describe() })
	k.run()
	eventually(t, "the boards are known", func() bool { return k.offers() == 500 })

	k.nats.Stop()
	k.nats.Wipe()
	k.nats.Start()
	eventually(t, "the boards are gone", func() bool { return k.offers() == 0 })
	eventually(t, "the worker is back", k.tell)
	eventually(t, "it offers again", k.describe)
	eventually(t, "the boards are known again", func() bool { return k.offers() == 500 })
	must(t, bus.Remove(t.Context(), k.worker, flow.Workers, "w1"))
	eventually(t, "the worker is gone", func() bool { return k.offers() == 0 })
}
