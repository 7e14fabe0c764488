package auth

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/flota/flota/pkg/fault"
)

// User is a person with an account.
type User struct {
	ID    string `bson:"id"`
	Login string `bson:"login"`
	// Key is the login as it is compared: Ada and ada are one person.
	Key      string    `bson:"key"`
	Password string    `bson:"password"` // argon2id
	Created  time.Time `bson:"created"`
}

// loginKey returns the form of a login by which people are told apart.
func loginKey(login string) string { return strings.ToLower(norm.NFKC.String(login)) }

func checkLogin(login string) error {
	if n := utf8.RuneCountInString(login); n < 2 || n > 128 || !utf8.ValidString(login) {
		return fault.Field("login", "a login has 2 to 128 characters")
	}
	if strings.ContainsFunc(login, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fault.Field("login", "a login has no spaces")
	}
	return nil
}

// A person chooses a password of at least 8 characters; a product's may be as
// short as what is printed on its label.
const (
	shortestPassword        = 8
	shortestProductPassword = 4
	longestPassword         = 256
)

func checkPassword(field, password string, shortest int) error {
	if n := utf8.RuneCountInString(password); n < shortest || n > longestPassword {
		return fault.Field(field, "a password has %d to %d characters", shortest, longestPassword)
	}
	return nil
}
