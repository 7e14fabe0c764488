package httpserve

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// A server that runs for months changes its certificate before it expires.
func TestOwnCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		own, err := loadOwn(dir, nil, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		serial := func() string {
			cert, err := own.certificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(cert.Leaf.NotAfter); left < renewBefore {
				t.Errorf("%s left", left)
			}
			return cert.Leaf.SerialNumber.String()
		}
		first := serial()
		time.Sleep(leafLife - renewBefore - time.Hour)
		if serial() != first {
			t.Error("renewed too early")
		}
		time.Sleep(2 * time.Hour)
		second := serial()
		if second == first {
			t.Error("not renewed")
		}
		if again, err := loadOwn(dir, nil, zap.NewNop()); err != nil || again.leaf.Leaf.SerialNumber.String() != second {
			t.Errorf("the renewed certificate was not kept: %v", err)
		}
	})
}
