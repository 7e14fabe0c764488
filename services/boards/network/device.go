package network

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
)

// maxBody is more than a device's report can have, in bytes.
const maxBody = 64 << 10

// devicePath are the device protocol's paths, as sent: nothing in them is escaped,
// so that no two readers can understand them differently.
var devicePath = regexp.MustCompile(`^/(?:d/v1/[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*|firmware/[A-Za-z0-9._~-]+|[A-Za-z0-9._~-]+\.ino\.bin)(?:\?[A-Za-z0-9._~=&-]*)?$`)

// permitted tells whether a request is a device's.
func permitted(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return false
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	for _, part := range strings.Split(path, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return devicePath.MatchString(r.RequestURI)
}

// dropped are what a device has no business to say. What stands for whom a request
// comes from is the artifact service's proxies' to tell; the reverse proxy drops
// Forwarded and the like itself.
var dropped = []string{"Cookie", "X-Real-Ip", "X-Request-Id", "True-Client-Ip", "Via", "Origin", "Referer", "Upgrade-Insecure-Requests"}

// devicePaths hands on what a device may ask of the artifact service, path and body
// as they were sent: devices sign them.
func devicePaths(artifact url.URL, errorLog *log.Logger) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			path, query, _ := strings.Cut(r.In.RequestURI, "?")
			r.Out.URL = &url.URL{Scheme: artifact.Scheme, Host: artifact.Host, Path: path, RawQuery: query}
			r.Out.Host = ""
			for _, name := range dropped {
				r.Out.Header.Del(name)
			}
			for name := range r.Out.Header {
				if strings.HasPrefix(name, "X-Forwarded-") {
					r.Out.Header.Del(name)
				}
			}
		},
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: askWithin}).DialContext,
			ResponseHeaderTimeout:  askWithin,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true, // what a device asks for is what it gets
		},
		ErrorLog: errorLog,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var tooLarge *http.MaxBytesError
			switch {
			case errors.As(err, &tooLarge):
				problem.Write(w, r, fault.New(fault.TooLarge, "a device's request has at most %d bytes", maxBody))
			case errors.Is(err, context.Canceled): // the board is gone; not even a status is sent
				panic(http.ErrAbortHandler)
			default:
				errorLog.Printf("the artifact service: %v", err)
				w.Header().Set("Retry-After", "5")
				problem.Write(w, r, fault.New(fault.Unavailable, "the installation does not answer"))
			}
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !permitted(r) {
			problem.Write(w, r, fault.New(fault.Forbidden, "a virtual board reaches the device paths only"))
			return
		}
		if r.ContentLength > maxBody {
			problem.Write(w, r, fault.New(fault.TooLarge, "a device's request has at most %d bytes", maxBody))
			return
		}
		r.Header.Del("Upgrade")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		proxy.ServeHTTP(w, r)
	})
}
