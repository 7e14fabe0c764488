package sqlite_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/xid"
	"github.com/stretchr/testify/require"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/docstoretest"
	"github.com/flota/flota/pkg/docstore/sqlite"
)

func openDB(t testing.TB, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestConformance(t *testing.T) {
	docstoretest.Run(t, func(t *testing.T) docstore.DB {
		return openDB(t, filepath.Join(t.TempDir(), "a file?with #odd name.db"))
	}, nil)
}

func TestTheFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	openNotes(t, openDB(t, path))
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}

func TestAClosedDatabaseRefuses(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	require.NoError(t, err)
	notes := openNotes(t, db)
	require.NoError(t, db.Close())
	require.Error(t, notes.Insert(t.Context(), newNote()))
	_, err = notes.Get(t.Context(), "x")
	require.Error(t, err)
	require.Error(t, db.Ping(t.Context()))
}

type note struct {
	docstore.Meta `bson:",inline"`
	Topic         string `bson:"topic"`
	Text          string `bson:"text"`
}

func newNote() *note {
	return &note{Meta: docstore.Meta{ID: xid.New().String()}, Topic: "t", Text: strings.Repeat("x", 500)}
}

func openNotes(t testing.TB, db docstore.DB) *docstore.Collection[note] {
	t.Helper()
	notes, err := docstore.Open[note](t.Context(), db, "notes", docstore.Index{Name: "topic", Fields: []string{"topic"}})
	require.NoError(t, err)
	return notes
}

// TestKilledProcessLosesNothing kills a child in the middle of its inserts: every ID
// that it printed after its insert returned must be there, and the file whole.
func TestKilledProcessLosesNothing(t *testing.T) {
	if path := os.Getenv("FLOTA_TEST_INSERT_INTO"); path != "" {
		insertForEver(t, path)
	}
	path := filepath.Join(t.TempDir(), "db")
	child := exec.Command(os.Args[0], "-test.run=^TestKilledProcessLosesNothing$")
	child.Env = append(os.Environ(), "FLOTA_TEST_INSERT_INTO="+path)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var acknowledged []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if acknowledged = append(acknowledged, lines.Text()); len(acknowledged) == 500 {
			require.NoError(t, child.Process.Kill())
		}
	}
	_ = child.Wait()
	require.GreaterOrEqual(t, len(acknowledged), 500)

	notes := openNotes(t, openDB(t, path))
	for _, id := range acknowledged[:len(acknowledged)-1] { // the last line may be torn
		_, err := notes.Get(t.Context(), id)
		require.NoError(t, err)
	}
	n, err := notes.Count(t.Context(), docstore.Eq("topic", "t"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, int64(len(acknowledged)-1))
}

func insertForEver(t *testing.T, path string) {
	notes := openNotes(t, openDB(t, path))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				n := newNote()
				if err := notes.Insert(t.Context(), n); err != nil {
					return
				}
				fmt.Println(n.ID)
			}
		})
	}
	wg.Wait()
}

func BenchmarkInsert(b *testing.B) {
	for _, goroutines := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			notes := openNotes(b, openDB(b, filepath.Join(b.TempDir(), "db")))
			b.SetParallelism(goroutines)
			work := make(chan struct{})
			var wg sync.WaitGroup
			for range goroutines {
				wg.Go(func() {
					for range work {
						if err := notes.Insert(b.Context(), newNote()); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
		})
	}
}

func BenchmarkGet(b *testing.B) {
	notes, n := openNotes(b, openDB(b, filepath.Join(b.TempDir(), "db"))), newNote()
	require.NoError(b, notes.Insert(b.Context(), n))
	for b.Loop() {
		if _, err := notes.Get(b.Context(), n.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	notes := openNotes(b, openDB(b, filepath.Join(b.TempDir(), "db")))
	for range 100 {
		require.NoError(b, notes.Insert(b.Context(), newNote()))
	}
	for b.Loop() {
		page, err := notes.Find(b.Context(), docstore.Query{Where: []docstore.Cond{docstore.Eq("topic", "t")}, Limit: 10})
		if err != nil || len(page.Items) != 10 {
			b.Fatal(err)
		}
	}
}
