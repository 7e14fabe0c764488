package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// maxGroup bounds how many operations share a transaction, and so how long the first
// of them waits.
const maxGroup = 256

var errClosed = errors.New("sqlite: the database is closed")

// writer owns the one connection that writes. Operations that arrive while a commit
// waits for the disk form the next transaction together: many goroutines share the
// cost of one fsync, and a lone one waits for no other.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	queue chan *operation
	quit  chan struct{}
	once  sync.Once
	ended chan struct{}
}

// operation runs inside a shared transaction. Its verdict, such as ErrStale, is its
// caller's alone; a failure undoes the transaction for everybody in it.
type operation struct {
	run    func(*writer) (verdict, failure error)
	answer chan error
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		conn:  conn,
		stmts: map[string]*sql.Stmt{},
		queue: make(chan *operation), // whoever waits is in a goroutine of their own: nothing to bound
		quit:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

// do runs an operation and returns when it is on the disk. When ctx ends first, the
// operation may still happen.
func (w *writer) do(ctx context.Context, run func(*writer) (verdict, failure error)) error {
	op := &operation{run, make(chan error, 1)}
	select {
	case w.queue <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	select {
	case err := <-op.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) close() error {
	w.once.Do(func() { close(w.quit) })
	<-w.ended
	return w.conn.Close()
}

func (w *writer) loop() {
	defer close(w.ended)
	for {
		select {
		case <-w.quit:
			return
		case first := <-w.queue:
			w.commit(first)
		}
	}
}

// commit runs first, and what else waits, in one transaction.
func (w *writer) commit(first *operation) {
	group := make([]*operation, 0, 8)
	verdicts := make([]error, 0, 8)
	_, failure := w.exec("BEGIN IMMEDIATE")
	for op := first; op != nil; op = w.next(len(group)) {
		group = append(group, op)
		var verdict error
		if failure == nil {
			verdict, failure = op.run(w)
		}
		verdicts = append(verdicts, verdict)
		if failure != nil {
			break
		}
	}
	if failure == nil {
		_, failure = w.exec("COMMIT")
	}
	if failure != nil {
		_, _ = w.exec("ROLLBACK") // fails where SQLite has rolled back by itself
	}
	for i, op := range group {
		if failure != nil {
			op.answer <- failure
		} else {
			op.answer <- verdicts[i]
		}
	}
}

func (w *writer) next(taken int) *operation {
	if taken >= maxGroup {
		return nil
	}
	select {
	case op := <-w.queue:
		return op
	default:
		return nil
	}
}

// exec runs a statement, prepared once. It cannot be interrupted: others share the
// transaction.
func (w *writer) exec(query string, args ...any) (sql.Result, error) {
	stmt := w.stmts[query]
	if stmt == nil {
		var err error
		if stmt, err = w.conn.PrepareContext(context.Background(), query); err != nil { //nolint:sqlclosecheck // closed with the connection
			return nil, err
		}
		w.stmts[query] = stmt
	}
	return stmt.ExecContext(context.Background(), args...)
}
