import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureProgram } from '#shared/sandbox/packages.ts';

const run = promisify(execFile);

/** Days. A cluster of tests does not live longer; a new one gets new certificates. */
const lifetime = '30';

export type CertificateRequest = {
  /** Of the files: `<name>.crt`, `<name>.key`. */
  name: string;
  /** `/O=group/CN=user` is who a client is to the API server. */
  subject: string;
  /** `IP:127.0.0.1,DNS:localhost`, for a server. */
  alternativeNames?: string;
};

/** Makes a certificate authority, the certificates it signs and the key that signs ServiceAccount tokens. */
export async function makeCertificates(folder: string, requests: readonly CertificateRequest[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const program = await ensureProgram('openssl', 'openssl');
  const openssl = (...args: string[]) => run(program, args, { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const ca = ['-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=fleet-test-ca', '-days', lifetime];
  await openssl('req', '-x509', ...key, ...ca);
  await openssl('genrsa', '-out', 'sa.key', '2048');
  await openssl('rsa', '-in', 'sa.key', '-pubout', '-out', 'sa.pub');
  for (const { name, subject, alternativeNames } of requests) {
    await openssl('req', '-new', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    const usage = 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n';
    const names = alternativeNames === undefined ? '' : `subjectAltName=${alternativeNames}\n`;
    await writeFile(join(folder, `${name}.ext`), usage + names);
    const serial = `0x${randomBytes(8).toString('hex')}`;
    const issuer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-set_serial', serial, '-days', lifetime];
    await openssl('x509', '-req', '-in', `${name}.csr`, ...issuer, '-extfile', `${name}.ext`, '-out', `${name}.crt`);
    await rm(join(folder, `${name}.csr`));
  }
}

/** A kubeconfig that carries its certificates, readable by this user only. */
export async function writeClientKubeconfig(
  file: string,
  { certificates, client, url }: { certificates: string; client: string; url: string },
): Promise<void> {
  const data = async (name: string) => (await readFile(join(certificates, name))).toString('base64');
  const name = 'fleet';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': await data('ca.crt') } }],
    users: [
      {
        name,
        user: {
          'client-certificate-data': await data(`${client}.crt`),
          'client-key-data': await data(`${client}.key`),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
}
