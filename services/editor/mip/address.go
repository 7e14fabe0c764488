package mip

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/flota/flota/services/editor"
)

// hosts are the short forms of addresses, as mip knows them: organisation,
// repository, branch or tag, path.
var hosts = map[string]string{
	"github:":   "https://raw.githubusercontent.com/{org}/{repo}/{ref}/{path}",
	"gitlab:":   "https://gitlab.com/{org}/{repo}/-/raw/{ref}/{path}",
	"codeberg:": "https://codeberg.org/api/v1/repos/{org}/{repo}/raw/{path}?ref={ref}",
}

var (
	segment = regexp.MustCompile(`^[A-Za-z0-9_.~+-]+$`)
	listed  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+-]*$`)
)

// isAddress reports whether a package is named by where it lies, not by its name
// in the index.
func isAddress(name string) bool {
	scheme, _, ok := strings.Cut(name, ":")
	return ok && (hosts[scheme+":"] != "" || scheme == "http" || scheme == "https")
}

// isFile reports whether an address is that of a single module.
func isFile(name string) bool {
	return isAddress(name) && (strings.HasSuffix(name, ".py") || strings.HasSuffix(name, ".mpy"))
}

// listed is where the index describes a package.
func (s *Source) listed(name, version string) (string, error) {
	switch {
	case !listed.MatchString(name):
		return "", refuse("%.100q is neither the name of a package nor an address", name)
	case !listed.MatchString(version):
		return "", refuse("%.100q is no version", version)
	}
	return s.Index + "/package/py/" + name + "/" + version + ".json", nil
}

// resolve makes a URL of an address; the version is the branch or tag for those
// that have such. Plain HTTP is for the index that the operator chose. Who may be
// reached is the client's to say.
func (s *Source) resolve(address, version string) (string, error) {
	for scheme, form := range hosts {
		path, ok := strings.CutPrefix(address, scheme)
		if !ok {
			continue
		}
		parts := strings.Split(path, "/")
		if len(parts) < 3 || slices.ContainsFunc(parts, func(p string) bool { return !isSegment(p) }) {
			return "", refuse("%.200q is not written %sorganisation/repository/path", address, scheme)
		}
		ref := version
		if ref == editor.Latest || ref == "" {
			ref = "HEAD"
		}
		if slices.ContainsFunc(strings.Split(ref, "/"), func(p string) bool { return !isSegment(p) }) {
			return "", refuse("%.100q is no branch and no tag", version)
		}
		return strings.NewReplacer("{org}", parts[0], "{repo}", parts[1], "{ref}", ref, "{path}", strings.Join(parts[2:], "/")).Replace(form), nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", refuse("%.200q is no address of a package", address)
	}
	if u.User != nil {
		return "", refuse("an address with a name and a password in it would be readable for everybody who sees the project")
	}
	if index, err := url.Parse(s.Index); u.Scheme == "http" && (err != nil || index.Scheme != u.Scheme || index.Host != u.Host) {
		return "", refuse("%.200q comes over plain HTTP, on which anybody on the way could change it: use https", address)
	}
	u.Fragment = ""
	return u.String(), nil
}

func isSegment(s string) bool { return segment.MatchString(s) && s != "." && s != ".." }
