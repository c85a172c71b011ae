import type { Language } from './templates.ts';

const day = (at: Date) => at.toLocaleDateString('de-DE', { dateStyle: 'long', timeZone: 'UTC' });
const minute = (at: Date) =>
  `${at.toLocaleString('de-DE', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })} UTC`;

const helped =
  'Sie müssen nichts tun: Auch wir wissen davon. Von Ihren Daten wurde nichts entfernt. Wenn Sie uns schreiben, nennen Sie bitte diesen Vorgang:';

export const german: Language = {
  tag: 'de',
  greeting: 'Guten Tag,',
  closing: 'Ihr Odoo-Team',
  templates: {
    'instance-provisioning': ({ instance }) => ({
      subject: `${instance} wird eingerichtet`,
      parts: [`Ihr Odoo „${instance}“ wird eingerichtet. Wir schreiben Ihnen, sobald es bereit ist: meist in Minuten.`],
    }),
    'instance-ready': ({ instance, url, login, firstLogin }) => ({
      subject: `${instance} ist bereit`,
      parts: [
        `Ihr Odoo „${instance}“ ist bereit. Melden Sie sich als ${login} an:`,
        { link: url, label: 'Odoo öffnen' },
        ...(firstLogin === undefined
          ? [
              'Nehmen Sie Ihr Passwort. Haben Sie keines, wählen Sie dort „Passwort zurücksetzen“ oder schreiben Sie uns.',
            ]
          : [
              `Ihr erstes Passwort wird einmal angezeigt, innerhalb von ${firstLogin.hours} Stunden. Ändern Sie es nach der Anmeldung.`,
              { link: firstLogin.url, label: 'Erstes Passwort anzeigen' },
              'Wir senden nie Passwörter per E-Mail. Wenn der Link nicht mehr gilt, bitten Sie uns um ein neues Passwort.',
            ]),
      ],
    }),
    'instance-failed': ({ instance, operation }) => ({
      subject: `${instance} konnte nicht eingerichtet werden`,
      parts: [`Ihr Odoo „${instance}“ konnte noch nicht eingerichtet werden.`, helped, operation],
    }),
    'instance-started': ({ instance, url }) => ({
      subject: `${instance} läuft`,
      parts: [`Ihr Odoo „${instance}“ wurde gestartet und antwortet.`, { link: url, label: 'Odoo öffnen' }],
    }),
    'instance-stopped': ({ instance }) => ({
      subject: `${instance} wurde angehalten`,
      parts: [
        `Ihr Odoo „${instance}“ wurde angehalten. Ihre Daten bleiben erhalten, und Sie können es jederzeit wieder starten.`,
      ],
    }),
    'instance-suspended': ({ instance }) => ({
      subject: `${instance} ist gesperrt`,
      parts: [
        `Ihr Odoo „${instance}“ ist gesperrt und antwortet nicht. Ihre Daten bleiben erhalten.`,
        'Meist fehlt eine Zahlung: Sobald sie da ist, läuft es von selbst wieder. Kennen Sie keinen Grund, schreiben Sie uns.',
      ],
    }),
    'instance-resumed': ({ instance, url }) => ({
      subject: `${instance} läuft wieder`,
      parts: [`Ihr Odoo „${instance}“ ist nicht mehr gesperrt und antwortet.`, { link: url, label: 'Odoo öffnen' }],
    }),
    'instance-terminated': ({ instance }) => ({
      subject: `${instance} wurde beendet`,
      parts: [
        `Ihr Odoo „${instance}“ wurde beendet und antwortet nicht mehr.`,
        'Die Daten bleiben noch eine Weile, ehe sie endgültig gelöscht werden. War es ein Versehen, schreiben Sie uns bald.',
      ],
    }),
    'instance-restored': ({ instance, url }) => ({
      subject: `${instance} wurde wiederhergestellt`,
      parts: [
        `Ihr Odoo „${instance}“ wurde aus einer Sicherung wiederhergestellt. Es ist auf dem Stand von damals.`,
        { link: url, label: 'Odoo öffnen' },
      ],
    }),
    'backup-completed': ({ instance, backup, at, megabytes }) => ({
      subject: `${instance}: Sicherung abgeschlossen`,
      parts: [`Die Sicherung „${backup}“ Ihres Odoo „${instance}“ vom ${minute(at)} ist vollständig: ${megabytes} MB.`],
    }),
    'backup-failed': ({ instance, operation }) => ({
      subject: `${instance}: Sicherung fehlgeschlagen`,
      parts: [
        `Eine Sicherung Ihres Odoo „${instance}“ ist fehlgeschlagen. Frühere Sicherungen bleiben erhalten.`,
        helped,
        operation,
      ],
    }),
    'restore-failed': ({ instance, operation }) => ({
      subject: `${instance}: Wiederherstellung fehlgeschlagen`,
      parts: [`Ihr Odoo „${instance}“ konnte nicht wiederhergestellt werden.`, helped, operation],
    }),
    'maintenance-planned': ({ instance, from, until }) => ({
      subject: `${instance}: Wartung`,
      parts: [
        `Wir arbeiten an Ihrem Odoo „${instance}“ von ${minute(from)} bis ${minute(until)}. Es kann dann nicht erreichbar sein.`,
      ],
    }),
    'subscription-cancelled': ({ instance, endsAt }) => ({
      subject: `${instance}: Abonnement gekündigt`,
      parts: [`Ihr Abonnement für „${instance}“ ist gekündigt. Es läuft bis zum ${day(endsAt)}.`],
    }),
    'subscription-expired': ({ instance, keptDays }) => ({
      subject: `${instance}: Abonnement beendet`,
      parts: [
        `Ihr Abonnement für „${instance}“ ist zu Ende und damit der Dienst. Wir bewahren Ihre Daten ${keptDays} Tage auf.`,
      ],
    }),
    'subscription-upgraded': ({ instance, plan, url }) => ({
      subject: `${instance}: jetzt ${plan}`,
      parts: [`Ihr Odoo „${instance}“ hat jetzt den Tarif ${plan}.`, { link: url, label: 'Odoo öffnen' }],
    }),
    'service-terminated': ({ instance, keptDays }) => ({
      subject: `${instance}: Dienst beendet`,
      parts: [`Der Dienst für „${instance}“ ist wie gewünscht beendet. Wir bewahren Ihre Daten ${keptDays} Tage auf.`],
    }),
    'invoice-created': ({ invoice, amount, billingUrl, dueAt }) => ({
      subject: `Rechnung ${invoice}`,
      parts: [
        `Ihre Rechnung ${invoice} über ${amount} ist da. Sie ist am ${day(dueAt)} fällig.`,
        { link: billingUrl, label: 'Rechnung ansehen' },
      ],
    }),
    'invoice-paid': ({ invoice, amount, billingUrl }) => ({
      subject: `Rechnung ${invoice} ist bezahlt`,
      parts: [
        `Ihre Rechnung ${invoice} über ${amount} ist bezahlt. Vielen Dank.`,
        { link: billingUrl, label: 'Rechnung ansehen' },
      ],
    }),
    'payment-received': ({ invoice, amount, billingUrl }) => ({
      subject: `Ihre Zahlung für ${invoice}`,
      parts: [
        `Wir haben ${amount} für Rechnung ${invoice} erhalten. Vielen Dank.`,
        { link: billingUrl, label: 'Rechnung ansehen' },
      ],
    }),
    'payment-failed': ({ invoice, amount, billingUrl }) => ({
      subject: `Die Zahlung von ${invoice} ist fehlgeschlagen`,
      parts: [
        `Die Zahlung von ${amount} für Rechnung ${invoice} ist fehlgeschlagen. Bitte prüfen Sie Ihre Zahlungsart.`,
        { link: billingUrl, label: 'Rechnung bezahlen' },
      ],
    }),
    'payment-overdue': ({ invoice, amount, billingUrl, suspendsAt }) => ({
      subject: `Rechnung ${invoice} ist überfällig`,
      parts: [
        `Rechnung ${invoice} über ${amount} ist überfällig. Ohne Zahlung wird der Dienst am ${day(suspendsAt)} gesperrt.`,
        { link: billingUrl, label: 'Rechnung bezahlen' },
      ],
    }),
    'payment-reminder': ({ invoice, amount, billingUrl, dueAt }) => ({
      subject: `Rechnung ${invoice} ist bald fällig`,
      parts: [
        `Rechnung ${invoice} über ${amount} ist am ${day(dueAt)} fällig.`,
        { link: billingUrl, label: 'Rechnung bezahlen' },
      ],
    }),
    'webhook-disabled': ({ endpoint, reason, at, lastSuccessAt, enableCall, replayCall }) => ({
      subject: 'Ihr Webhook-Endpunkt wurde abgeschaltet',
      parts: [
        `Ihr Webhook-Endpunkt ${endpoint} wurde am ${minute(at)} abgeschaltet: Wir senden keine Ereignisse mehr dorthin.`,
        reason === 'gone'
          ? 'Er hat mit 410 Gone geantwortet. Damit sagt ein Empfänger, dass es ihn nicht mehr gibt.'
          : 'Seit drei Tagen hat er nichts angenommen, was wir gesendet haben.',
        lastSuccessAt === null
          ? 'Er hat noch nie ein Ereignis angenommen.'
          : `Zuletzt hat er am ${minute(lastSuccessAt)} ein Ereignis angenommen.`,
        'Ihr Odoo ist davon nicht betroffen. Ereignisse werden 30 Tage aufbewahrt. Wenn der Empfänger wieder arbeitet, schalten Sie den Endpunkt mit diesem Aufruf unserer API ein:',
        enableCall,
        'Lassen Sie dann senden, was er versäumt hat:',
        replayCall,
        'Brauchen Sie den Endpunkt nicht mehr, löschen Sie ihn.',
      ],
    }),
  },
};
