package solo_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
)

// installation is the product as separate processes, as Compose runs it: a NATS
// server with the generated configuration, a database and an object store for each
// service that has one, Caddy with our Caddyfile, and the services, each with its
// own settings and only its own secrets, made by deploy/docker/init.sh.
type installation struct {
	product
	dir       string
	address   map[string]string // of what listens
	options   map[string]solotest.ProcessOptions
	processes map[string]*solotest.Process
}

var services = []string{"auth", "editor", "artifact", "fleet", "boards", "compiler-1", "compiler-2"}

// separate skips where the servers are not there: deploy/setup/slow.sh sets them.
func separate(t *testing.T) map[string]string {
	t.Helper()
	if os.Getenv("FLOTA_TEST_SEPARATE") == "" {
		t.Skip("FLOTA_TEST_SEPARATE is not set: the slow tier (deploy/setup/slow.sh) runs the services as separate processes")
	}
	tools := map[string]string{}
	for _, name := range []string{"NATS_SERVER", "FERRETDB", "S3", "CADDY"} {
		tools[name] = os.Getenv("FLOTA_TEST_" + name)
		require.NotEmpty(t, tools[name], "FLOTA_TEST_%s names a binary", name)
	}
	return tools
}

func install(t *testing.T) *installation {
	t.Helper()
	tools, root := separate(t), toolchain(t)
	i := &installation{
		product: product{t: t, seen: &secrets{}}, dir: t.TempDir(),
		address: map[string]string{}, options: map[string]solotest.ProcessOptions{}, processes: map[string]*solotest.Process{},
	}
	t.Cleanup(i.end)
	i.secrets()
	for _, name := range append([]string{"nats", "nats-monitor", "caddy", "caddy-devices"}, services...) {
		i.address[name] = freeAddress(t)
	}
	i.configureNATS(tools["NATS_SERVER"])
	i.configureCaddy(tools["CADDY"])
	stores, objects := map[string]string{}, map[string]string{}
	for _, service := range []string{"auth", "editor", "artifact", "fleet", "boards"} {
		stores[service] = i.startDatabase(tools["FERRETDB"], service)
	}
	for _, service := range []string{"editor", "artifact"} {
		objects[service] = i.startObjects(tools, service)
	}
	i.configureServices(stores, objects, root)
	i.start("nats")
	i.waitFor("nats", i.origin("nats-monitor")+"/healthz")
	i.start("caddy")
	for _, service := range services {
		i.start(service)
	}
	for _, service := range services {
		i.waitReady(service)
	}
	i.admin = solotest.NewClient(i.origin("caddy"), i.origin("caddy-devices"), i.seen)
	return i
}

// secrets makes them as a Compose installation does.
func (i *installation) secrets() {
	i.t.Helper()
	script, err := os.ReadFile(filepath.Join(solotest.Root(), "deploy", "docker", "init.sh"))
	require.NoError(i.t, err)
	file := filepath.Join(i.dir, "init.sh")
	require.NoError(i.t, os.WriteFile(file, script, 0o700))
	out, err := exec.CommandContext(within(i.t, patience), file).CombinedOutput()
	require.NoError(i.t, err, "%s", out)
	entries, err := os.ReadDir(filepath.Join(i.dir, "secrets"))
	require.NoError(i.t, err)
	for _, e := range entries {
		if e.Name() != "nats.env" {
			i.seen.add(i.secret(e.Name()))
		}
	}
}

func (i *installation) secret(name string) string {
	i.t.Helper()
	text, err := os.ReadFile(filepath.Join(i.dir, "secrets", name))
	require.NoError(i.t, err)
	return string(text)
}

// configureNATS takes the generated configuration, but for addresses and folder.
func (i *installation) configureNATS(path string) {
	i.t.Helper()
	text, err := os.ReadFile(filepath.Join(solotest.Root(), "deploy", "nats", "nats.conf"))
	require.NoError(i.t, err)
	conf := string(text)
	for from, to := range map[string]string{"0.0.0.0:4222": i.address["nats"], "127.0.0.1:8222": i.address["nats-monitor"], "/data": filepath.Join(i.dir, "nats")} {
		require.Equal(i.t, 1, strings.Count(conf, `"`+from+`"`), from)
		conf = strings.Replace(conf, from, to, 1)
	}
	file := filepath.Join(i.dir, "nats.conf")
	require.NoError(i.t, os.WriteFile(file, []byte(conf), 0o600))
	i.define("nats", solotest.ProcessOptions{Path: path, Env: strings.Fields(i.secret("nats.env")), Args: []string{"-c", file}})
}

func (i *installation) configureCaddy(path string) {
	_, port, _ := net.SplitHostPort(i.address["caddy"])
	_, devices, _ := net.SplitHostPort(i.address["caddy-devices"])
	env := []string{"FLOTA_GATEWAY_BIND=127.0.0.1", "FLOTA_GATEWAY_PORT=" + port, "FLOTA_GATEWAY_DEVICE_PORT=" + devices, "HOME=" + i.dir}
	for _, service := range []string{"auth", "editor", "artifact", "fleet", "boards"} {
		env = append(env, "FLOTA_"+strings.ToUpper(service)+"="+i.address[service])
	}
	i.define("caddy", solotest.ProcessOptions{Path: path, Env: env, Args: []string{
		"run", "--adapter", "caddyfile", "--config", filepath.Join(solotest.Root(), "deploy", "docker", "Caddyfile"),
	}})
}

func (i *installation) binary(service string) string {
	i.t.Helper()
	b, err := serviceBinaries()
	require.NoError(i.t, err)
	return b.Path(service)
}

// configureServices gives each what docker-compose.yml gives it.
func (i *installation) configureServices(stores, objects map[string]string, toolchain string) {
	for _, name := range services {
		service, _, _ := strings.Cut(name, "-")
		env := []string{
			"FLOTA_LISTEN=" + i.address[name], "FLOTA_NATS_URL=nats://" + i.address["nats"], "FLOTA_NATS_PASSWORD_FILE=" + i.file("nats_"+service),
		}
		switch service {
		case "compiler":
			env = append(env, "FLOTA_TOOLCHAIN="+toolchain, "FLOTA_SLOTS=1", "FLOTA_DRAIN=20s")
		case "boards":
			env = append(env, "FLOTA_PUBLIC_URL="+i.origin("caddy"), "FLOTA_STORE="+stores[service], "FLOTA_TOOLCHAIN="+toolchain,
				"FLOTA_ARTIFACT_URL="+i.origin("artifact"), "FLOTA_BOARDS_DATA="+filepath.Join(i.dir, "boards"))
		default:
			env = append(env, "FLOTA_PUBLIC_URL="+i.origin("caddy"), "FLOTA_SERVICE_KEY_FILE="+i.file("key_"+service), "FLOTA_STORE="+stores[service])
		}
		if objects[service] != "" {
			env = append(env, "FLOTA_INTERNAL_URL="+i.origin(service), "FLOTA_S3_ENDPOINT="+objects[service], "FLOTA_S3_BUCKET=flota-"+service,
				"FLOTA_S3_ACCESS_KEY="+service, "FLOTA_S3_SECRET_KEY_FILE="+i.file("s3_"+service))
		}
		switch service {
		case "auth", "artifact":
			env = append(env, "FLOTA_DEVICE_SEAL_KEY_FILE="+i.file("key_device_seal"), "FLOTA_TRUSTED_PROXIES=127.0.0.0/8")
		case "editor":
			env = append(env, "FLOTA_DEVICE_URL="+i.origin("caddy-devices"), "FLOTA_TRUSTED_PROXIES=127.0.0.0/8")
		}
		if service == "artifact" {
			env = append(env, "FLOTA_PLAIN_HTTP_DEVICES=true")
		}
		i.define(name, solotest.ProcessOptions{Path: i.binary(service), Env: env})
	}
}

// startDatabase starts one that speaks MongoDB's wire protocol.
func (i *installation) startDatabase(path, service string) (uri string) {
	i.t.Helper()
	name := "ferretdb-" + service
	i.define(name, solotest.ProcessOptions{Path: path, Args: []string{filepath.Join(i.dir, name)}, Stdin: true})
	i.start(name)
	line, err := i.processes[name].Line(within(i.t, patience), func(line string) bool { return strings.HasPrefix(line, "mongodb://") })
	require.NoError(i.t, err)
	// FerretDB's updates are atomic within one connection only.
	return strings.TrimRight(line, "/") + "/flota-" + service + "?maxPoolSize=1"
}

// startObjects starts a MinIO server where there is one, else our own S3 server.
func (i *installation) startObjects(tools map[string]string, service string) (endpoint string) {
	i.t.Helper()
	name, folder := "s3-"+service, filepath.Join(i.dir, "s3-"+service)
	minio := os.Getenv("FLOTA_TEST_MINIO")
	if minio == "" {
		i.define(name, solotest.ProcessOptions{Path: tools["S3"], Args: []string{folder}, Stdin: true, Env: []string{
			"FLOTA_S3_ACCESS_KEY=" + service, "FLOTA_S3_SECRET_KEY=" + i.secret("s3_"+service),
		}})
		i.start(name)
		line, err := i.processes[name].Line(within(i.t, patience), func(line string) bool { return strings.Contains(line, ":") })
		require.NoError(i.t, err)
		return line
	}
	endpoint = freeAddress(i.t.(*testing.T))
	i.define(name, solotest.ProcessOptions{
		Path: minio, Args: []string{"server", "--quiet", "--address", endpoint, "--console-address", freeAddress(i.t.(*testing.T)), folder},
		Env: []string{"MINIO_ROOT_USER=" + service, "MINIO_ROOT_PASSWORD=" + i.secret("s3_"+service), "MINIO_UPDATE=off", "MINIO_BROWSER=off", "HOME=" + i.dir},
	})
	i.start(name)
	i.waitFor(name, "http://"+endpoint+"/minio/health/ready")
	return endpoint
}

// define says how a process is started, now and again.
func (i *installation) define(name string, o solotest.ProcessOptions) {
	o.Name, o.Log, o.Dir = name, new(solotest.Log), i.dir
	i.options[name] = o
}

func (i *installation) start(name string) {
	i.t.Helper()
	p, err := solotest.StartProcess(i.options[name])
	require.NoError(i.t, err)
	i.processes[name] = p
}

// kill ends a process as a power cut would.
func (i *installation) kill(name string) { i.processes[name].Kill() }

func (i *installation) log(name string) string { return i.options[name].Log.String() }

func (i *installation) origin(name string) string { return "http://" + i.address[name] }

func (i *installation) file(secret string) string { return filepath.Join(i.dir, "secrets", secret) }

func (i *installation) waitReady(service string) {
	i.t.Helper()
	i.waitFor(service, i.origin(service)+"/readyz")
}

func (i *installation) waitFor(name, url string) {
	i.t.Helper()
	ctx := within(i.t, patience)
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(i.t, err)
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-i.processes[name].Ended():
			require.FailNow(i.t, name+" ended", i.options[name].Log.Tail(20))
		case <-ctx.Done():
			require.FailNow(i.t, name+" is not ready", i.options[name].Log.Tail(20))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// end stops the services first, each of which must end well, and then what they stand on.
func (i *installation) end() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, name := range services {
		if p := i.processes[name]; p != nil {
			p.Terminate()
		}
	}
	for _, name := range services {
		if p := i.processes[name]; p != nil {
			code, err := p.Wait(ctx)
			if err != nil || code != 0 {
				i.t.Errorf("%s ended with %d: %v", name, code, err)
			}
		}
	}
	for name, p := range i.processes {
		p.Kill()
		i.seen.check(i.t, i.log(name))
		if i.t.Failed() {
			i.t.Logf("the end of the log of %s, without requests:\n%s", name, lastWords(i.log(name), 15))
		}
	}
}
