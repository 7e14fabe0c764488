// One database and one user for each service.
const { readFileSync } = require('fs');
for (const service of ['auth', 'editor', 'artifact', 'fleet', 'boards']) {
  const name = `flota-${service}`;
  db.getSiblingDB(name).createUser({
    user: service,
    pwd: readFileSync(`/run/secrets/mongo_${service}`, 'utf8').trim(),
    roles: [{ role: 'readWrite', db: name }],
  });
}
