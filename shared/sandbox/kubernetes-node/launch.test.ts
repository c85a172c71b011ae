import { describe, expect, test } from 'vitest';
import { commandLine, type LaunchInput, launchSpec, mountsOf, rewriteMountPaths } from './launch.ts';
import { containerUser } from './security.ts';

const volumes = new Map([
  ['data', '/real/data'],
  ['conf', '/real/conf'],
]);
const mounts = mountsOf(
  [
    { name: 'data', mountPath: '/var/lib/odoo/' },
    { name: 'conf', mountPath: '/etc/odoo/odoo.conf', subPath: 'odoo.conf' },
    { name: 'data', mountPath: '/var/lib/odoo/nested', subPath: 'n', readOnly: true },
  ],
  volumes,
);

describe('mount paths', () => {
  test.each([
    ['--data-dir=/var/lib/odoo', '--data-dir=/real/data'],
    ['/var/lib/odoo/sessions', '/real/data/sessions'],
    ['/var/lib/odoo/nested/x', '/real/data/n/x'],
    ['-c /etc/odoo/odoo.conf', '-c /real/conf/odoo.conf'],
    ['a=/var/lib/odoo,/var/lib/odoo/b', 'a=/real/data,/real/data/b'],
    ['/var/lib/odoo-backup', '/var/lib/odoo-backup'],
    ['/srv/var/lib/odoo', '/srv/var/lib/odoo'],
    ['/etc/odoo/odoo.conf.bak', '/etc/odoo/odoo.conf.bak'],
    ['nothing here', 'nothing here'],
  ])('in %s become %s', (text, expected) => {
    expect(rewriteMountPaths(text, mounts)).toBe(expected);
  });

  test('that leave their volume, or name one the pod does not have, are refused', () => {
    expect(() => mountsOf([{ name: 'data', mountPath: '/x', subPath: '../..' }], volumes)).toThrow('leaves its volume');
    expect(() => mountsOf([{ name: 'none', mountPath: '/x' }], volumes)).toThrow('volume none');
  });
});

const host = { kind: 'host' as const, entrypoint: ['/bin/odoo'], env: { LANG: 'C' } };
const root = { ...host, kind: 'root' as const, rootFolder: '/images/odoo', user: { uid: 101, gid: 102 } };
const input = (fields: Partial<LaunchInput> = {}): LaunchInput => ({
  name: 'pod/main',
  container: { name: 'main', image: 'i', args: ['--http-interface=$(IP)'] },
  image: host,
  environment: { IP: '127.1.2.3' },
  volumes,
  hostName: 'pod',
  user: undefined,
  fsGroup: undefined,
  logFile: '/logs/main.log',
  scratchFolder: '/pods/1/scratch',
  isRoot: true,
  ...fields,
});

describe('a program', () => {
  test('starts with the image’s entry point unless the container has a command', () => {
    expect(commandLine({ name: 'm', image: 'i', args: ['a'] }, host, {})).toEqual(['/bin/odoo', 'a']);
    expect(commandLine({ name: 'm', image: 'i', command: ['b'] }, host, {})).toEqual(['b']);
  });

  test('of this machine gets its variables only, and its user where the node is root', () => {
    const spec = launchSpec(input({ user: { uid: 5, gid: 6 }, fsGroup: 7 }));
    expect(spec).toMatchObject({
      command: '/bin/odoo',
      args: ['--http-interface=127.1.2.3'],
      user: { uid: 5, gid: 7 },
    });
    expect(Object.keys(spec.env).sort()).toEqual(['HOSTNAME', 'IP', 'LANG', 'PATH']);
    expect(launchSpec(input({ user: { uid: 5, gid: 6 }, isRoot: false })).user).toBeUndefined();
  });

  test('of this machine keeps the image’s own paths, also below a mount path', () => {
    const container = {
      name: 'main',
      image: 'i',
      args: ['--config=/tmp/x'],
      env: [],
      volumeMounts: [{ name: 'data', mountPath: '/tmp' }],
    };
    const image = { kind: 'host' as const, entrypoint: ['/tmp/clone/odoo'], env: { PATH: '/tmp/clone/bin' } };
    const spec = launchSpec(input({ container, image, environment: { HOME: '/tmp/home' } }));
    expect(spec).toMatchObject({ command: '/tmp/clone/odoo', args: ['--config=/real/data/x'] });
    expect(spec.env).toMatchObject({ PATH: '/tmp/clone/bin', HOME: '/real/data/home' });
  });

  test('of a root file system runs behind unshare and chroot as its own user and groups', () => {
    const { command, args, env } = launchSpec(input({ image: root, fsGroup: 7 }));
    expect(command).toBe('unshare');
    expect(args).toEqual(expect.arrayContaining(['/images/odoo', '101:102', '102,7', '--http-interface=127.1.2.3']));
    expect(env).toMatchObject({ KEEP_TZ: 'no' });
  });
});

describe('the user of a container', () => {
  const user = (pod = {}, container = {}, image: typeof host | typeof root = host) =>
    containerUser(
      { containers: [], securityContext: pod },
      { name: 'main', image: 'i', securityContext: container },
      image,
    );

  test('is its own, else the pod’s, else the image’s, else the node’s', () => {
    expect(user({ runAsUser: 1, runAsGroup: 2 }, { runAsUser: 3 })).toEqual({ user: { uid: 3, gid: 2 } });
    expect(user({ runAsUser: 1 })).toEqual({ user: { uid: 1, gid: 0 } });
    expect(user({}, {}, root)).toEqual({ user: { uid: 101, gid: 102 } });
    expect(user()).toEqual({ user: undefined });
  });

  test('must be known not to be root where runAsNonRoot is asked', () => {
    expect(user({ runAsNonRoot: true })).toEqual({ refusal: expect.stringContaining('non-numeric user') });
    expect(user({ runAsNonRoot: true, runAsUser: 0 })).toEqual({ refusal: expect.stringContaining('breaks non-root') });
    const rootImage = { ...root, user: { uid: 0, gid: 0 } };
    expect(user({ runAsNonRoot: true }, {}, rootImage)).toEqual({
      refusal: expect.stringContaining('will run as root'),
    });
    expect(user({ runAsNonRoot: true }, {}, root)).toEqual({ user: { uid: 101, gid: 102 } });
  });
});
