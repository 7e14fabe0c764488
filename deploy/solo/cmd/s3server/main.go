// Command s3server is the embedded S3 server as a process of its own, for the tests
// of services: it serves the folder in its argument to the account in
// FLOTA_S3_ACCESS_KEY and FLOTA_S3_SECRET_KEY, prints host:port as its one line, and
// stops on SIGTERM or when standard input ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/flota/flota/deploy/solo/s3server"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "s3server:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: s3server <folder>")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	server, err := s3server.Start(ctx, os.Args[1], os.Getenv("FLOTA_S3_ACCESS_KEY"), os.Getenv("FLOTA_S3_SECRET_KEY"))
	if err != nil {
		return err
	}
	fmt.Println(server.Endpoint())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent process
		stop()
	}()
	select {
	case <-ctx.Done():
	case <-server.Done():
	}
	return server.Close()
}
