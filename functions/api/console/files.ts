/** The console's files. There is nothing to build: the browser reads them as they are. */
export const consoleScripts = [
  'backups.js',
  'client.js',
  'commands.js',
  'confirm.js',
  'console.js',
  'dead-letters.js',
  'elements.js',
  'instance.js',
  'instances.js',
  'new-instance.js',
  'progress.js',
  'refresh.js',
  'trouble.js',
] as const;
export const consoleStyle = 'console.css';
export const consolePage = 'index.html';
