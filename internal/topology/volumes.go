package topology

import "platen/internal/task"

// Volume is one volume that outlives containers.
type Volume struct {
	Name string
	Tier string // web, database, sessions, objects, files, mail, secrets
	Data bool   // holds what people made; kept by `down` unless they say otherwise
}

// Volumes lists every volume of the environment but the tasks' memory-backed ones, in the
// order in which the init job sees them.
func (t Topology) Volumes() []Volume {
	var volumes []Volume
	// Secrets count as data: without the database's password its volume is of no use.
	for _, role := range []string{RoleMaster, RoleWeb, RoleJobs, RoleDatabase, RoleSessions, RoleObjects} {
		volumes = append(volumes, Volume{t.Secrets(role), "secrets", true})
	}
	volumes = append(volumes, Volume{t.Files.Volume, "files", true})
	for _, name := range t.Database.Volumes {
		volumes = append(volumes, Volume{name, "database", true})
	}
	for _, cache := range []Cache{t.Sessions, t.Objects} {
		for _, name := range cache.Volumes {
			volumes = append(volumes, Volume{name, cache.Role, true})
		}
	}
	if t.Mail.Catch {
		volumes = append(volumes, Volume{t.Mail.Volume, "mail", true})
	}
	return volumes
}

// InitPath is where the init job has a volume mounted.
func InitPath(volume string) string { return "/volumes/" + volume }

// Init tells the init job which volumes there are below /volumes, whose they are, and which
// secrets each role gets. A role gets what its processes read and nothing else.
func (t Topology) Init() task.Init {
	init := task.Init{Master: InitPath(t.Secrets(RoleMaster))}
	folder := func(volume string, uid int, mode uint32) *task.Folder {
		init.Folders = append(init.Folders, task.Folder{Path: InitPath(volume), UID: uid, Mode: mode})
		return &init.Folders[len(init.Folders)-1]
	}

	web := []string{
		task.SecretDatabase, task.SecretSessions, task.SecretObjects,
		task.SecretSalt, task.SecretSiteToken, task.FileCA,
	}
	if t.Web.Config.Mail.User != "" {
		web = append(web, task.SecretMail)
	}
	server := []string{task.FileCA, task.FileCert, task.FileKey}

	folder(t.Secrets(RoleWeb), task.WebUID, 0o500).Secrets = web
	folder(t.Secrets(RoleJobs), task.WebUID, 0o500).Secrets = append(web[:len(web):len(web)], task.SecretAdmin)
	db := folder(t.Secrets(RoleDatabase), task.MariaDBUID, 0o500)
	db.Secrets = append([]string{task.SecretDatabase}, server...)
	db.Hosts = append([]string{"db"}, t.Database.Nodes...)
	sessions := folder(t.Secrets(RoleSessions), task.ValkeyUID, 0o500)
	sessions.Secrets = append([]string{task.SecretSessions}, server...)
	sessions.Hosts = append([]string{"sessions"}, t.Sessions.Nodes...)
	objects := folder(t.Secrets(RoleObjects), task.ValkeyUID, 0o500)
	objects.Secrets = append([]string{task.SecretObjects}, server...)
	objects.Hosts = append([]string{"objects"}, t.Objects.Nodes...)

	folder(t.Files.Volume, task.WebUID, 0o750)
	for _, volume := range t.Database.Volumes {
		folder(volume, task.MariaDBUID, 0o700)
	}
	for _, cache := range []Cache{t.Sessions, t.Objects} {
		for _, volume := range cache.Volumes {
			folder(volume, task.ValkeyUID, 0o700)
		}
	}
	if t.Mail.Catch {
		folder(t.Mail.Volume, task.WebUID, 0o700)
	}
	return init
}
