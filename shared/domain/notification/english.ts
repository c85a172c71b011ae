import type { Language } from './templates.ts';

const day = (at: Date) => at.toLocaleDateString('en-GB', { dateStyle: 'long', timeZone: 'UTC' });
const minute = (at: Date) =>
  `${at.toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })} UTC`;

const helped =
  'You need not do anything: we have been told, too. Nothing of your data was removed. If you write to us, name this operation:';

/** The texts for everybody whose language has none of its own. */
export const english: Language = {
  tag: 'en',
  greeting: 'Hello,',
  closing: 'Your Odoo team',
  templates: {
    'instance-provisioning': ({ instance }) => ({
      subject: `${instance} is being made`,
      parts: [`Your Odoo "${instance}" is being made. We write again when it is ready, mostly within minutes.`],
    }),
    'instance-ready': ({ instance, url, login, firstLogin }) => ({
      subject: `${instance} is ready`,
      parts: [
        `Your Odoo "${instance}" is ready. Log in as ${login}:`,
        { link: url, label: 'Open Odoo' },
        ...(firstLogin === undefined
          ? ['Use the password you have. If you have none, choose "Reset password" there, or write to us.']
          : [
              `Your first password is shown once, within ${firstLogin.hours} hours. Change it after you have logged in.`,
              { link: firstLogin.url, label: 'Show the first password' },
              'We never send passwords by mail. If the link does not work any more, ask us for a new password.',
            ]),
      ],
    }),
    'instance-failed': ({ instance, operation }) => ({
      subject: `${instance} could not be made`,
      parts: [`Your Odoo "${instance}" could not be made yet.`, helped, operation],
    }),
    'instance-started': ({ instance, url }) => ({
      subject: `${instance} runs`,
      parts: [`Your Odoo "${instance}" was started and answers.`, { link: url, label: 'Open Odoo' }],
    }),
    'instance-stopped': ({ instance }) => ({
      subject: `${instance} was stopped`,
      parts: [`Your Odoo "${instance}" was stopped. Your data is kept, and you can start it again at any time.`],
    }),
    'instance-suspended': ({ instance }) => ({
      subject: `${instance} is suspended`,
      parts: [
        `Your Odoo "${instance}" is suspended and does not answer. Your data is kept.`,
        'Mostly a payment is missing: it runs again by itself when that has arrived. If you know of no reason, write to us.',
      ],
    }),
    'instance-resumed': ({ instance, url }) => ({
      subject: `${instance} runs again`,
      parts: [`Your Odoo "${instance}" is not suspended any more and answers.`, { link: url, label: 'Open Odoo' }],
    }),
    'instance-terminated': ({ instance }) => ({
      subject: `${instance} was terminated`,
      parts: [
        `Your Odoo "${instance}" was terminated and does not answer any more.`,
        'Its data is kept for a while before it is deleted for good. If this is a mistake, write to us soon.',
      ],
    }),
    'instance-restored': ({ instance, url }) => ({
      subject: `${instance} was restored`,
      parts: [
        `Your Odoo "${instance}" was restored from a backup. It holds what it held then.`,
        { link: url, label: 'Open Odoo' },
      ],
    }),
    'backup-completed': ({ instance, backup, at, megabytes }) => ({
      subject: `${instance}: the backup is complete`,
      parts: [`The backup "${backup}" of your Odoo "${instance}" from ${minute(at)} is complete: ${megabytes} MB.`],
    }),
    'backup-failed': ({ instance, operation }) => ({
      subject: `${instance}: a backup failed`,
      parts: [`A backup of your Odoo "${instance}" failed. Earlier backups are kept.`, helped, operation],
    }),
    'restore-failed': ({ instance, operation }) => ({
      subject: `${instance}: the restore failed`,
      parts: [`Your Odoo "${instance}" could not be restored.`, helped, operation],
    }),
    'maintenance-planned': ({ instance, from, until }) => ({
      subject: `${instance}: maintenance`,
      parts: [`We work on your Odoo "${instance}" from ${minute(from)} to ${minute(until)}. It may not answer then.`],
    }),
    'subscription-cancelled': ({ instance, endsAt }) => ({
      subject: `${instance}: the subscription is cancelled`,
      parts: [`Your subscription of "${instance}" is cancelled. It runs until ${day(endsAt)}.`],
    }),
    'subscription-expired': ({ instance, keptDays }) => ({
      subject: `${instance}: the subscription has ended`,
      parts: [
        `Your subscription of "${instance}" has ended, and with it the service. We keep your data for ${keptDays} days.`,
      ],
    }),
    'subscription-upgraded': ({ instance, plan, url }) => ({
      subject: `${instance}: now ${plan}`,
      parts: [`Your Odoo "${instance}" has the plan ${plan} now.`, { link: url, label: 'Open Odoo' }],
    }),
    'service-terminated': ({ instance, keptDays }) => ({
      subject: `${instance}: the service has ended`,
      parts: [`The service for "${instance}" has ended as you wished. We keep your data for ${keptDays} days.`],
    }),
    'invoice-created': ({ invoice, amount, billingUrl, dueAt }) => ({
      subject: `Invoice ${invoice}`,
      parts: [
        `Your invoice ${invoice} over ${amount} is there. It is due on ${day(dueAt)}.`,
        { link: billingUrl, label: 'See the invoice' },
      ],
    }),
    'invoice-paid': ({ invoice, amount, billingUrl }) => ({
      subject: `Invoice ${invoice} is paid`,
      parts: [
        `Your invoice ${invoice} over ${amount} is paid. Thank you.`,
        { link: billingUrl, label: 'See the invoice' },
      ],
    }),
    'payment-received': ({ invoice, amount, billingUrl }) => ({
      subject: `Your payment for ${invoice}`,
      parts: [
        `We have received ${amount} for invoice ${invoice}. Thank you.`,
        { link: billingUrl, label: 'See the invoice' },
      ],
    }),
    'payment-failed': ({ invoice, amount, billingUrl }) => ({
      subject: `The payment of ${invoice} failed`,
      parts: [
        `The payment of ${amount} for invoice ${invoice} failed. Please look at your way of payment.`,
        { link: billingUrl, label: 'Pay the invoice' },
      ],
    }),
    'payment-overdue': ({ invoice, amount, billingUrl, suspendsAt }) => ({
      subject: `Invoice ${invoice} is overdue`,
      parts: [
        `Invoice ${invoice} over ${amount} is overdue. Without payment the service is suspended on ${day(suspendsAt)}.`,
        { link: billingUrl, label: 'Pay the invoice' },
      ],
    }),
    'payment-reminder': ({ invoice, amount, billingUrl, dueAt }) => ({
      subject: `Invoice ${invoice} is due soon`,
      parts: [
        `Invoice ${invoice} over ${amount} is due on ${day(dueAt)}.`,
        { link: billingUrl, label: 'Pay the invoice' },
      ],
    }),
    'webhook-disabled': ({ endpoint, reason, at, lastSuccessAt, enableCall, replayCall }) => ({
      subject: 'Your webhook endpoint was disabled',
      parts: [
        `Your webhook endpoint ${endpoint} was disabled on ${minute(at)}: we send no events to it any more.`,
        reason === 'gone'
          ? 'It answered 410 Gone, by which a receiver says that it is not there any more.'
          : 'For three days it has not taken what we sent.',
        lastSuccessAt === null ? 'It has never taken an event.' : `It last took an event on ${minute(lastSuccessAt)}.`,
        'Your Odoo is not affected. Events are kept for 30 days. When the receiver works again, enable the endpoint by this call of our API:',
        enableCall,
        'Then have sent what it has missed:',
        replayCall,
        'If you do not need the endpoint any more, delete it.',
      ],
    }),
  },
};
