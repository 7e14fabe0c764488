// Command ferretdb speaks the MongoDB wire protocol for tests, on machines where
// no mongod can be had: FerretDB with its SQLite handler on a port of 127.0.0.1
// that the system chooses. Its first line on standard output is its URI. It stops
// on SIGTERM, and when standard input ends, so that it cannot outlive a test.
//
// Data lives in the folder named by the first argument; without one, in a
// temporary folder that is removed at the end.
//
// It is for tests alone: see pkg/docstore/README.md for what FerretDB lacks.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()

	db, err := ferretdb.New(&ferretdb.Config{
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + dir + "/",
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"}, // embedded: telemetry is never started
	})
	if err != nil {
		return err
	}

	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent process
		stop()
	}()
	go func() { fmt.Println(db.MongoDBURI()) }() // blocks until Run listens
	return db.Run(ctx)
}

func folder() (dir string, remove func(), err error) {
	if len(os.Args) > 1 {
		return os.Args[1], func() {}, os.MkdirAll(os.Args[1], 0o700)
	}
	dir, err = os.MkdirTemp("", "ferretdb-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
