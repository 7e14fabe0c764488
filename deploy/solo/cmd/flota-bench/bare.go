package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
)

// serveBare is what polls are compared with: net/http and the same check of a
// credential, and nothing else. It prints its address and serves until killed.
func serveBare(key string) error {
	k := deviceproto.KeyHash(key)
	keyID := deviceproto.KeyID(k)
	known := map[string][sha256.Size]byte{keyID: k}

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set(deviceproto.HeaderPoll, "60")
		h.Set("ETag", `"1"`)
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			sum := deviceproto.KeyHash(bearer)
			stored, found := known[deviceproto.KeyID(sum)]
			if !found || subtle.ConstantTimeCompare(stored[:], sum[:]) != 1 {
				http.Error(w, "", http.StatusUnauthorized)
				return
			}
			w.WriteHeader(http.StatusNotModified)
			return
		}
		id, mac, ok := deviceproto.ParseAuthorization(r.Header.Get("Authorization"))
		stored, found := known[id]
		asked := deviceproto.Request{
			Method: r.Method, Path: r.RequestURI, Nonce: r.Header.Get(deviceproto.HeaderNonce), Time: r.Header.Get(deviceproto.HeaderTime),
			Running: r.Header.Get(deviceproto.HeaderRunning), ETag: r.Header.Get("If-None-Match"),
		}
		if !ok || !found || !deviceproto.VerifyRequest(stored, asked, mac) {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		h.Set(deviceproto.HeaderMAC, deviceproto.AnswerMAC(stored, deviceproto.Answer{
			Nonce: asked.Nonce, Status: http.StatusNotModified, Poll: "60", ETag: `"1"`,
		}))
		w.WriteHeader(http.StatusNotModified)
	})
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + ln.Addr().String())
	return http.Serve(ln, handler)
}
