/** A line in the format of Odoo's log. */
export function log(
  level: 'INFO' | 'WARNING' | 'ERROR',
  database: string | undefined,
  logger: string,
  message: string,
) {
  const time = new Date().toISOString().replace('T', ' ').replace('.', ',').slice(0, 23);
  process.stderr.write(`${time} ${process.pid} ${level} ${database ?? '?'} odoo.stand_in.${logger}: ${message} \n`);
}
