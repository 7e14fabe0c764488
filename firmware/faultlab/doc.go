// Package faultlab holds virtual boards with the real update agent against power cuts, bad
// networks, hostile servers, broken storage and bad releases. It is all tests; README.md tells what they show.
package faultlab
