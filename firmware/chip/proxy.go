package chip

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Proxy is the other end of net/out: the only way to the world of boards whose network
// is NetworkProxy.
type Proxy struct {
	// Dial connects a board to host:port, or refuses with an error whose text the board
	// is told. It is where the operator's rules are.
	Dial func(ctx context.Context, host string, port int) (net.Conn, error)
	// Connections is how many there may be at once: 8 where it is 0. More wait.
	Connections int
	// Idle ends a connection on which so long nothing went either way: 5 minutes where it is 0.
	Idle time.Duration
}

const (
	askTimeout  = 10 * time.Second
	longestAsk  = 300
	dialTimeout = 30 * time.Second
)

// Serve serves a listener until the context ends, and returns when every connection is
// closed. The listener is closed then.
func (p Proxy) Serve(ctx context.Context, listener net.Listener) error {
	if p.Connections == 0 {
		p.Connections = 8
	}
	if p.Idle == 0 {
		p.Idle = 5 * time.Minute
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	slots := make(chan struct{}, p.Connections)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		all.Go(func() {
			defer func() { <-slots }()
			p.serve(ctx, conn)
		})
	}
}

func (p Proxy) serve(ctx context.Context, board net.Conn) {
	defer board.Close()
	defer context.AfterFunc(ctx, func() { board.Close() })()
	_ = board.SetDeadline(time.Now().Add(askTimeout))
	in := bufio.NewReaderSize(board, longestAsk)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return
	}
	host, port, err := parseConnect(string(line))
	if err != nil {
		_, _ = fmt.Fprintf(board, "refused %v\n", err)
		return
	}
	_ = board.SetDeadline(time.Now().Add(dialTimeout + askTimeout))
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	far, err := p.Dial(dialing, host, port)
	if err != nil {
		_, _ = fmt.Fprintf(board, "refused %s\n", strings.Map(printable, err.Error()))
		return
	}
	defer far.Close()
	defer context.AfterFunc(ctx, func() { far.Close() })()
	if _, err := io.WriteString(board, "ok\n"); err != nil {
		return
	}
	p.join(board, in, far)
}

// join copies both ways until both are done, one fails, or nothing moves.
func (p Proxy) join(board net.Conn, in *bufio.Reader, far net.Conn) {
	touch := func() {
		until := time.Now().Add(p.Idle)
		_ = board.SetDeadline(until)
		_ = far.SetDeadline(until)
	}
	touch()
	var both sync.WaitGroup
	both.Go(func() { forward(far, in, board, touch) })
	both.Go(func() { forward(board, far, far, touch) })
	both.Wait()
}

// forward copies until the end, and passes the end on; a failure ends both directions.
func forward(to net.Conn, from io.Reader, source net.Conn, touch func()) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			touch()
			if _, err := to.Write(buffer[:n]); err != nil {
				to.Close()
				source.Close()
				return
			}
		}
		if err == nil {
			continue
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) {
			_ = half.CloseWrite()
			return
		}
		to.Close()
		source.Close()
		return
	}
}

var errConnect = errors.New("not CONNECT host:port")

func parseConnect(line string) (host string, port int, err error) {
	target, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "CONNECT ")
	if !ok {
		return "", 0, errConnect
	}
	at := strings.LastIndexByte(target, ':')
	if at < 1 {
		return "", 0, errConnect
	}
	host = strings.Trim(target[:at], "[]")
	port, err = strconv.Atoi(target[at+1:])
	if err != nil || port < 1 || port > 65535 || strings.ContainsAny(host, " \t/@") {
		return "", 0, errConnect
	}
	return host, port, nil
}

func printable(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}
