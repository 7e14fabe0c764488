package solotest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	editorapi "github.com/flota/flota/services/editor/httpapi"
)

const editorPrefix = "/api/editor/v1"

// Boards is what the farm offers now.
func (c *Client) Boards(ctx context.Context) (farm editorapi.Farm, err error) {
	return farm, c.Do(ctx, http.MethodGet, editorPrefix+"/boards", nil, &farm)
}

// WaitForBoard returns when some worker offers a board, as "flota:virtual:esp32".
func (c *Client) WaitForBoard(ctx context.Context, fqbn string) error {
	var last error
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		var farm editorapi.Farm
		farm, last = c.Boards(ctx)
		return offers(farm, fqbn), nil
	})
	if err != nil {
		return fmt.Errorf("nobody offers %s: %w", fqbn, errOr(last, err))
	}
	return nil
}

func offers(farm editorapi.Farm, fqbn string) bool {
	for _, p := range farm.Platforms {
		for _, b := range p.Boards {
			if b.Fqbn == fqbn {
				return true
			}
		}
	}
	return false
}

// Examples is what a project can start from.
func (c *Client) Examples(ctx context.Context) ([]editorapi.Example, error) {
	var answer struct{ Examples []editorapi.Example }
	err := c.Do(ctx, http.MethodGet, editorPrefix+"/examples", nil, &answer)
	return answer.Examples, err
}

// CreateProject makes a project from an example.
func (c *Client) CreateProject(ctx context.Context, name, example string) (p editorapi.Project, err error) {
	return p, c.Do(ctx, http.MethodPost, editorPrefix+"/projects", editorapi.CreateProjectJSONBody{Name: name, Example: &example}, &p)
}

// OwnProject opens the project of the product that is logged in.
func (c *Client) OwnProject(ctx context.Context) (p editorapi.Project, err error) {
	return p, c.Do(ctx, http.MethodPut, editorPrefix+"/own-project", nil, &p)
}

// Projects lists the newest.
func (c *Client) Projects(ctx context.Context) ([]editorapi.Project, error) {
	var answer struct{ Projects []editorapi.Project }
	err := c.Do(ctx, http.MethodGet, editorPrefix+"/projects", nil, &answer)
	return answer.Projects, err
}

// Project returns one.
func (c *Client) Project(ctx context.Context, id string) (p editorapi.Project, err error) {
	return p, c.Do(ctx, http.MethodGet, editorPrefix+"/projects/"+word(id), nil, &p)
}

// ChangeProject gives a project another name or board, or opts out of the agent.
func (c *Client) ChangeProject(ctx context.Context, id string, to editorapi.ChangeProjectJSONBody) (p editorapi.Project, err error) {
	return p, c.Do(ctx, http.MethodPatch, editorPrefix+"/projects/"+word(id), to, &p)
}

// PutFile saves a working file, whatever it was.
func (c *Client) PutFile(ctx context.Context, project, path, content string) (f editorapi.File, err error) {
	return f, c.Do(ctx, http.MethodPut, filePath(project, path), editorapi.PutFileJSONBody{Content: content}, &f)
}

// File returns a working file's content.
func (c *Client) File(ctx context.Context, project, path string) (string, error) {
	var f editorapi.FileContent
	err := c.Do(ctx, http.MethodGet, filePath(project, path), nil, &f)
	return f.Content, err
}

func filePath(project, path string) string {
	return editorPrefix + "/projects/" + word(project) + "/file?path=" + url.QueryEscape(path)
}

// BuildWish is what to build; the zero one is the working files for the project's board.
type BuildWish struct {
	FQBN     string `json:"fqbn,omitempty"`
	Revision int    `json:"revision,omitempty"`
	Verbose  bool   `json:"verbose,omitempty"`
	Fresh    bool   `json:"fresh,omitempty"` // even where the result is known
}

// Build asks for a build.
func (c *Client) Build(ctx context.Context, project string, wish BuildWish) (b editorapi.Build, err error) {
	return b, c.Do(ctx, http.MethodPost, editorPrefix+"/projects/"+word(project)+"/builds", wish, &b)
}

// GetBuild returns a build.
func (c *Client) GetBuild(ctx context.Context, id string) (b editorapi.Build, err error) {
	return b, c.Do(ctx, http.MethodGet, editorPrefix+"/builds/"+word(id), nil, &b)
}

// Cancel cancels a build.
func (c *Client) Cancel(ctx context.Context, id string) (b editorapi.Build, err error) {
	return b, c.Do(ctx, http.MethodPost, editorPrefix+"/builds/"+word(id)+"/cancel", nil, &b)
}

// Final reports whether a build has ended.
func Final(b editorapi.Build) bool {
	return b.State != editorapi.BuildStateQueued && b.State != editorapi.BuildStateRunning
}

// BuildLog returns the stored log of a finished build.
func (c *Client) BuildLog(ctx context.Context, id string) ([]editorapi.LogLine, error) {
	var answer struct{ Lines []editorapi.LogLine }
	err := c.Do(ctx, http.MethodGet, editorPrefix+"/builds/"+word(id)+"/log", nil, &answer)
	return answer.Lines, err
}

// OutputLink returns a signed link to an output.
func (c *Client) OutputLink(ctx context.Context, build, name string) (string, error) {
	var answer struct{ URL string }
	err := c.Do(ctx, http.MethodPost, editorPrefix+"/builds/"+word(build)+"/outputs/"+word(name)+"/link", nil, &answer)
	return answer.URL, err
}

// Output gets an output's bytes by its signed link.
func (c *Client) Output(ctx context.Context, build, name string) ([]byte, error) {
	link, err := c.OutputLink(ctx, build, name)
	if err != nil {
		return nil, err
	}
	return c.Download(ctx, link)
}

// App is what a device installs of a build.
func App(b editorapi.Build) (editorapi.Output, error) {
	for _, o := range b.Outputs {
		if o.Role == editorapi.App || o.Role == editorapi.Index {
			return o, nil
		}
	}
	return editorapi.Output{}, fmt.Errorf("build %s (%s) has no app", b.Id, b.State)
}
