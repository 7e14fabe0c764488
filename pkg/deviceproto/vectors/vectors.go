// Package vectors makes and reads the examples of the device protocol: for every
// sentence that binds somebody, good and bad cases from fixed keys. Servers and
// devices run the same files; firmware/vectors/README.md describes their form.
package vectors

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
)

// Case is what every case begins with.
type Case struct {
	Name string `json:"name"`
	// Proves is a sentence of firmware/README.md, word for word.
	Proves string `json:"proves"`
}

// File is one file of vectors.
type File[C any] struct {
	About string `json:"about"`
	Cases []C    `json:"cases"`
}

// Read reads the cases of one file in a folder. C may have fewer fields than they.
func Read[C any](folder, name string) ([]C, error) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	var f File[C]
	err = json.Unmarshal(text, &f)
	return f.Cases, err
}

// Make returns the files by name. It gives the same bytes every time.
func Make() map[string][]byte {
	return map[string][]byte{
		"derive.json":     encode("What follows from a device key and from a signing key.", deriveCases()),
		"request.json":    encode("A request, its MAC and the server's clock → what the server makes of it.", requestCases()),
		"answer.json":     encode("An answer and its MAC → is it a check-in?", answerCases()),
		"statement.json":  encode("A signed statement and what a device knows → its decision.", statementCases()),
		"index.json":      encode("The text of an index and the parts of its statement → files, or nothing.", indexCases()),
		"provision.json":  encode("A line on the cable, without its LF → the device's answer.", provisionCases()),
		"report.json":     encode("The body of a report → accepted, or the field at fault.", reportCases()),
		"link.json":       encode("The path of an image request → status.", linkCases()),
		"httpupdate.json": encode("What stock clients send, byte for byte → status and headers.", httpUpdateCases()),
	}
}

func encode[C any](about string, cases []C) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(File[C]{about, cases}); err != nil {
		panic(err)
	}
	return b.Bytes()
}
