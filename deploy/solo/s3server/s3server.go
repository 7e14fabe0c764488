// Package s3server is an S3 server inside this process: versitygw on a folder. It is
// the object store of the single-process deployment and of tests; services reach it
// over S3 like any other.
package s3server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

const (
	region         = "us-east-1"
	maxConnections = 1024
	maxRequests    = 256
	ioBuffer       = 256 << 10 // bytes for each running transfer
	maxCopy        = 5 << 30   // bytes: what S3 states; unset, every copy is refused
	bindAttempts   = 5
)

// Server is a running S3 server.
type Server struct {
	endpoint string
	stop     context.CancelFunc
	ended    chan struct{}
	err      error // of the gateway, set before ended is closed
	once     sync.Once
}

// Start serves the folder dir, which it makes where it is missing, on a free port of
// 127.0.0.1, and returns when requests are answered. The keys are those of the one
// account. An object is answered as stored when it is on the disk.
//
// The gateway underneath allows one server at a time in a process, and CHANGES THE
// WORKING DIRECTORY of the process to dir: make every relative path absolute before.
func Start(ctx context.Context, dir, accessKey, secretKey string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if !taken.CompareAndSwap(false, true) { // a second one would move the folder from under the first
		return nil, errors.New("s3server: there is one already in this process")
	}
	for range bindAttempts { // the port is chosen, then bound: somebody may take it in between
		var s *Server
		if s, err = start(ctx, dir, accessKey, secretKey); err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	taken.Store(false)
	return nil, fmt.Errorf("s3server: %w", err)
}

// taken while there is a server in this process.
var taken atomic.Bool

func start(ctx context.Context, dir, accessKey, secretKey string) (*Server, error) {
	backend, err := newBackend(dir)
	if err != nil {
		return nil, err
	}
	endpoint, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{endpoint: endpoint, stop: stop, ended: make(chan struct{})}
	listening := make(chan struct{})
	go func() {
		defer close(s.ended)
		s.err = embedgw.RunVersityGW(running, backend, &embedgw.Config{
			RootUserAccess: accessKey,
			RootUserSecret: secretKey,
			IAMService: auth.NewIAMServiceSingle(auth.Account{
				Access: accessKey, Secret: secretKey, Role: auth.RoleAdmin,
			}),
			Region:            region,
			Ports:             []string{endpoint},
			MaxConnections:    maxConnections,
			MaxRequests:       maxRequests,
			MultipartMaxParts: 10_000,
			KeepAlive:         true,
			Quiet:             true,
			DisableACLs:       true,
			S3Options:         []s3api.Option{s3api.WithOnListen(sync.OnceFunc(func() { close(listening) }))},
		})
	}()
	select {
	case <-listening:
		return s, nil
	case <-s.ended:
		stop()
		return nil, errors.Join(errors.New("the gateway ended at once"), s.err)
	case <-ctx.Done():
		stop()
		<-s.ended
		return nil, ctx.Err()
	}
}

// Endpoint returns host:port.
func (s *Server) Endpoint() string { return s.endpoint }

// Done is closed when the server has ended, by Close or by a failure.
func (s *Server) Done() <-chan struct{} { return s.ended }

// Close lets running requests end, for at most 10 s, and stops the server. It returns
// the error that the server ended with before, if any.
func (s *Server) Close() error {
	s.stop()
	<-s.ended
	s.once.Do(func() { taken.Store(false) })
	return s.err
}

func newBackend(dir string) (*durable, error) {
	objects := filepath.Join(dir, "objects")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return nil, err
	}
	options := posix.PosixOpts{
		CopyObjectThreshold: maxCopy,
		IOBufferSize:        ioBuffer,
		ForceNoObjLockFile:  true, // one process
	}
	options.SetNewDirPerm(0o700)
	options.SetNewFilePerm(0o600)
	var attributes meta.MetadataStorer = meta.XattrMeta{}
	if (meta.XattrMeta{}).Test(objects) != nil { // a file system without extended attributes
		options.SideCarDir = filepath.Join(dir, "attributes")
		if err := os.MkdirAll(options.SideCarDir, 0o700); err != nil {
			return nil, err
		}
		sidecar, err := meta.NewSideCar(options.SideCarDir)
		if err != nil {
			return nil, err
		}
		attributes = sidecar
	}
	files, err := posix.New(objects, attributes, options)
	if err != nil {
		return nil, err
	}
	return &durable{Posix: files, root: objects}, nil
}

func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}
