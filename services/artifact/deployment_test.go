package artifact_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/services/artifact"
)

var (
	imageDigest = strings.Repeat("0123456789abcdef", 4)
	app         = deviceproto.Part{Kind: deviceproto.KindApp, Size: 1, SHA256: imageDigest}
	file        = deviceproto.Part{Kind: deviceproto.KindFile, Path: "a", SHA256: imageDigest}
)

func deployment(t testing.TB, number int64, parts ...deviceproto.Part) *artifact.Deployment {
	t.Helper()
	if len(parts) == 0 {
		parts = []deviceproto.Part{app}
	}
	signed, err := deviceproto.Sign(fmt.Appendf(nil, `{"deployment":%d}`, number), vectors.SigningKey("first"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := artifact.NewDeployment(vectors.Workspace, number, signed, parts, 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The protocol's table of answers to a poll.
func TestAnswer(t *testing.T) {
	one, two := deployment(t, 7), deployment(t, 7, app, file)
	files := deployment(t, 7, file)
	index := deployment(t, 7, deviceproto.Part{Kind: deviceproto.KindIndex, Size: 1, SHA256: imageDigest})
	for name, test := range map[string]struct {
		wanted             *artifact.Deployment
		noneMatch, running string
		want               int
	}{
		"nothing wanted":                         {nil, "", "", 204},
		"nothing wanted, one decided":            {nil, `"7"`, imageDigest, 304},
		"the decided one":                        {one, `"7"`, "", 304},
		"the decided one, another runs":          {one, `"7"`, strings.Repeat("f", 64), 304},
		"it runs already":                        {one, "", imageDigest, 204},
		"another runs":                           {one, "", strings.Repeat("f", 64), 200},
		"nobody knows what runs":                 {one, "", "", 200},
		"an older one is decided":                {one, `"6"`, "", 200},
		"an older one is decided, the same runs": {one, `"6"`, imageDigest, 200},
		"the app of several parts runs":          {two, "", imageDigest, 200},
		"a file is no app":                       {files, "", imageDigest, 200},
		"the release of this index runs":         {index, "", imageDigest, 204},
		"another index":                          {index, "", strings.Repeat("f", 64), 200},
		"any":                                    {one, "*", "", 200},
		"weak":                                   {one, `W/"7"`, "", 200},
		"list":                                   {one, `"6", "7"`, "", 200},
		"without quotes":                         {one, "7", "", 200},
	} {
		if got := test.wanted.Answer(test.noneMatch, test.running); got != test.want {
			t.Errorf("%s: %d, not %d", name, got, test.want)
		}
	}
}

func TestOffer(t *testing.T) {
	offer, err := deviceproto.ParseOffer(deployment(t, 7).Offer("t0ken"))
	if err != nil {
		t.Fatal(err)
	}
	if offer.Link != "/d/v1/image/t0ken" || !offer.Statement.Verify(&vectors.SigningKey("first").PublicKey) {
		t.Errorf("%+v", offer)
	}
}

func TestPollText(t *testing.T) {
	for interval, want := range map[time.Duration]string{0: "1", time.Second: "1", 90 * time.Second: "90", 48 * time.Hour: "3600"} {
		if got := artifact.PollText(interval); got != want {
			t.Errorf("%v: %s", interval, got)
		}
	}
}

func TestDeploymentWithoutParts(t *testing.T) {
	if _, err := artifact.NewDeployment("w", 1, deviceproto.Signed{}, nil, 0); err == nil {
		t.Error("accepted")
	}
}
