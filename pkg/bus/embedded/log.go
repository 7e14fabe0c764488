package embedded

import (
	"fmt"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"
)

// logger writes the server's log lines to zap: what it calls a notice is of
// interest to nobody who does not look for trouble.
type logger struct {
	log *zap.SugaredLogger
	// fatal is why the server cannot run. It says so here alone, and goes on.
	fatal atomic.Pointer[string]
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debugf(format, v...) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Errorf(format, v...) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debugf(format, v...) }
func (l *logger) Tracef(format string, v ...any)  { l.log.Debugf(format, v...) }

func (l *logger) Warnf(format string, v ...any) {
	if !strings.HasPrefix(format, "Plaintext passwords") { // they are in no file
		l.log.Warnf(format, v...)
	}
}

func (l *logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &text)
	l.log.Error(text)
}
