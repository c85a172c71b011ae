import { expect, test } from 'vitest';
import { initialiseCommand } from './initialise-command.ts';
import { templateBuildCommand, templateShellScript } from './template-build.ts';

const options = { database: 'tpl_19', modules: ['crm', 'base', 'website_sale'], language: 'de_DE' };

test('the command initialises as any Job does, and then feeds the script to a shell on the same database', () => {
  const [shell, flags, text, name, database, ...rest] = templateBuildCommand(options);
  expect([shell, flags, name, database]).toEqual(['/bin/sh', '-ec', 'template-build', 'tpl_19']);
  expect(rest).toEqual(initialiseCommand(options));
  expect(text).toContain(`<<'END'\n${templateShellScript(options.modules)}END\n`);
});

test('the script names each module once', () => {
  expect(templateShellScript(options.modules).split('\n')[0]).toBe("wanted = {'base', 'crm', 'website_sale'}");
});

test.each([`x'); import os`, 'a\nEND', '', '../x', '--x'])('%j is refused as a module name', (module) => {
  expect(() => templateBuildCommand({ ...options, modules: [module] })).toThrow('not a module name');
});

test('nothing in the command is a reference that Kubernetes would expand', () => {
  expect(templateBuildCommand(options).join('\n')).not.toContain('$(');
});
