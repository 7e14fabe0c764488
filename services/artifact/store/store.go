// Package store keeps the catalog of outputs with pkg/docstore.
package store

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
)

// output is the document of one blob in one workspace; its ID is made of both.
type output struct {
	docstore.Meta `bson:",inline"`
	Workspace     string    `bson:"workspace"`
	SHA256        string    `bson:"sha256"`
	Size          int64     `bson:"size"`
	MD5           string    `bson:"md5"`
	Appended      string    `bson:"appended"`
	Build         string    `bson:"build"`
	Attempt       int64     `bson:"attempt"`
	Stored        time.Time `bson:"stored"`
}

func (o *output) facts() artifact.Facts {
	return artifact.Facts{SHA256: o.SHA256, Size: o.Size, MD5: o.MD5, Appended: o.Appended}
}

// Store implements artifact.Catalog on any docstore.
type Store struct{ outputs *docstore.Collection[output] }

// Open opens the collection.
func Open(ctx context.Context, db docstore.DB) (*Store, error) {
	outputs, err := docstore.Open[output](ctx, db, "outputs",
		docstore.Index{Name: "sha256", Fields: []string{"sha256"}},
		docstore.Index{Name: "attempt", Fields: []string{"build", "attempt"}})
	return &Store{outputs}, err
}

func id(workspace, sha256 string) string { return workspace + "/" + sha256 }

// Add implements artifact.Catalog.
func (s *Store) Add(ctx context.Context, o artifact.Output) error {
	err := s.outputs.Insert(ctx, &output{
		Meta: docstore.Meta{ID: id(o.Workspace, o.SHA256)}, Workspace: o.Workspace, SHA256: o.SHA256,
		Size: o.Facts.Size, MD5: o.Facts.MD5, Appended: o.Facts.Appended,
		Build: o.Build, Attempt: int64(o.Attempt), Stored: o.Stored,
	})
	if fault.Is(err, fault.Conflict) {
		return nil // the same bytes, stored before
	}
	return err
}

// Get implements artifact.Catalog.
func (s *Store) Get(ctx context.Context, workspace, sha256 string) (artifact.Output, error) {
	o, err := s.outputs.Get(ctx, id(workspace, sha256))
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			err = fault.New(fault.NotFound, "the workspace has no such file")
		}
		return artifact.Output{}, err
	}
	return artifact.Output{
		Workspace: o.Workspace, SHA256: o.SHA256, Facts: o.facts(), Build: o.Build, Attempt: uint32(o.Attempt), Stored: o.Stored,
	}, nil
}

// Facts implements artifact.Catalog.
func (s *Store) Facts(ctx context.Context, sha256 string) (artifact.Facts, error) {
	page, err := s.outputs.Find(ctx, docstore.Query{Where: []docstore.Cond{docstore.Eq("sha256", sha256)}, Limit: 1})
	if err != nil {
		return artifact.Facts{}, err
	}
	if len(page.Items) == 0 {
		return artifact.Facts{}, fault.New(fault.NotFound, "there is no such file")
	}
	return page.Items[0].facts(), nil
}

// OfAttempt implements artifact.Catalog.
func (s *Store) OfAttempt(ctx context.Context, build string, attempt uint32) (outputs int, bytes int64, err error) {
	page, err := s.outputs.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("build", build), docstore.Eq("attempt", int64(attempt))}, Limit: artifact.MaxAttemptOutputs + 1,
	})
	if err != nil {
		return 0, 0, err
	}
	for _, o := range page.Items {
		bytes += o.Size
	}
	return len(page.Items), bytes, nil
}
