import type { Command } from 'commander';

/** A script for bash that completes the words and options of these programs' commands. `others`: words of further ones. */
export function bashCompletion(program: Command, others: readonly string[]): string {
  const next = new Map<string, Set<string>>();
  const add = (path: string, words: readonly string[]) => {
    next.set(path, new Set([...(next.get(path) ?? []), ...words]));
  };
  const visit = (command: Command, path: string) => {
    const flags = command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));
    add(path, [...command.commands.map((one) => one.name()), ...flags, ...(path === '' ? [] : ['--json'])]);
    for (const one of command.commands) visit(one, `${path} ${one.name()}`.trim());
  };
  visit(program, '');
  for (const words of others) {
    const [first = '', second] = words.split(' ');
    add('', [first]);
    if (second !== undefined) add(first, [second]);
  }
  const cases = [...next].map(([path, words]) => `    '${path}') words='${[...words].join(' ')}' ;;`);
  return `# fleet: completion for bash. Use it with: source <(fleet completion bash)
_fleet() {
  local word path='' words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    case "\${path:+$path }$word" in
${[...next.keys()]
  .filter((path) => path !== '')
  .map((path) => `      '${path}')`)
  .join(' path=$path${path:+ }$word ;;\n')} path=$path\${path:+ }$word ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -F _fleet fleet`;
}
