import { describe, expect, it } from 'vitest';
import { readOptions, usage } from './options.ts';

describe('the command line of npm run local', () => {
  it('has an instance called demo in the sandbox with the real Odoo, unless it is told otherwise', () => {
    expect(readOptions([])).toEqual({
      cluster: false,
      once: false,
      json: false,
      odoo: 'real',
      fresh: false,
      warm: false,
      name: 'demo',
      port: undefined,
      folder: undefined,
    });
  });

  it('takes the cluster with what has a meaning there', () => {
    const options = readOptions(['--cluster', '--once', '--json', '--name', 'acme', '--port', '8090']);
    expect(options).toMatchObject({ cluster: true, once: true, json: true, name: 'acme', port: 8090 });
  });

  it.each([
    [['--odoo', 'stand-in'], /leave out --odoo stand-in/],
    [['--fresh'], /leave out --fresh/],
    [['--warm'], /leave out --warm/],
    [['--folder', 'x'], /leave out --folder/],
  ])('refuses with the cluster what has none: %s', (args, message) => {
    expect(() => readOptions(['--cluster', ...args])).toThrow(TypeError);
    expect(() => readOptions(['--cluster', ...args])).toThrow(message);
  });

  it.each([
    [['--name', 'Acme'], /--name takes/],
    [['--port', '0'], /--port takes/],
    [['--odoo', 'fake'], /--odoo takes/],
  ])('refuses %s', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });

  it('tells of every option in its help', () => {
    expect(readOptions(['--help'])).toBe('help');
    for (const name of ['cluster', 'once', 'odoo', 'name', 'port', 'fresh', 'warm', 'folder', 'json', 'help']) {
      expect(usage).toMatch(new RegExp(`^  --${name}\\b`, 'm'));
    }
  });
});
