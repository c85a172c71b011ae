// The tables of Odoo 19's base that the platform reads or writes, with the columns' names, types and constraints as
// `odoo -i base` makes them. Of the wider tables only what is of use outside Odoo.

const LOG = 'create_uid integer, write_uid integer, create_date timestamp, write_date timestamp';

export const SCHEMA = `
create table res_currency (id serial primary key, name varchar not null unique, symbol varchar not null, active boolean, ${LOG});
create table res_lang (
  id serial primary key, name varchar not null unique, code varchar not null unique, iso_code varchar, url_code varchar not null unique,
  direction varchar not null, active boolean, ${LOG});
create table res_partner (
  id serial primary key, company_id integer, name varchar, parent_id integer, user_id integer, country_id integer,
  commercial_partner_id integer, complete_name varchar, lang varchar, tz varchar, vat varchar, website varchar, type varchar,
  street varchar, zip varchar, city varchar, email varchar, phone varchar, active boolean, is_company boolean,
  partner_share boolean, ${LOG});
create table res_company (
  id serial primary key, name varchar not null unique, partner_id integer not null references res_partner,
  currency_id integer not null references res_currency, sequence integer, parent_id integer, email varchar, phone varchar,
  layout_background varchar not null default 'Blank', active boolean, ${LOG});
create table res_users (
  id serial primary key, company_id integer not null references res_company, partner_id integer not null references res_partner,
  active boolean default true, login varchar not null constraint res_users_login_key unique, password varchar, action_id integer,
  signature text, share boolean, totp_last_counter integer, totp_secret varchar, tour_enabled boolean, ${LOG});
create table res_users_settings (id serial primary key, user_id integer not null unique references res_users on delete cascade, ${LOG});
create table ir_config_parameter (
  id serial primary key, key varchar not null constraint ir_config_parameter_key_uniq unique, value text not null, ${LOG});
create table ir_module_module (
  id serial primary key, website varchar, summary jsonb, name varchar not null constraint ir_module_module_name_uniq unique,
  author varchar, icon varchar, state varchar, latest_version varchar, shortdesc jsonb, category_id integer, description jsonb,
  application boolean default false, demo boolean default false, web boolean default false, license varchar,
  sequence integer default 100, auto_install boolean default false, to_buy boolean default false, published_version varchar,
  url varchar, imported boolean, ${LOG});
create table ir_attachment (
  id serial primary key, res_id integer, company_id integer, file_size integer, name varchar not null, res_model varchar,
  res_field varchar, type varchar not null, url varchar(1024), access_token varchar, store_fname varchar, checksum varchar(40),
  mimetype varchar, description text, index_content text, public boolean, db_datas bytea, original_id integer, ${LOG});
create table ir_cron (
  id serial primary key, ir_actions_server_id integer not null, user_id integer not null references res_users,
  interval_number integer not null, priority integer, failure_count integer, cron_name varchar, interval_type varchar not null,
  active boolean, nextcall timestamp not null, lastcall timestamp, first_failure_date timestamp, ${LOG});
create table ir_mail_server (
  id serial primary key, smtp_port integer, sequence integer, name varchar not null, from_filter varchar, smtp_host varchar,
  smtp_authentication varchar not null, smtp_user varchar, smtp_pass varchar, smtp_encryption varchar not null,
  smtp_debug boolean, active boolean, ${LOG});
create table ir_model_data (
  id serial primary key, res_id integer, noupdate boolean default false, name varchar not null, module varchar not null,
  model varchar not null, ${LOG}, unique (module, name));
`;

/** Installed by `-i base` in Odoo 19: base, and what installs itself with it. */
export const INSTALLED_WITH_BASE =
  `base api_doc auth_passkey auth_totp base_import base_import_module base_setup bus html_editor iap rpc web
  web_tour web_unsplash`.split(/\s+/);

/** Modules the stand-in can mark as installed. Any other name is ignored with a warning, as Odoo does. */
export const OTHER_MODULES =
  `account calendar contacts crm event fleet helpdesk_mgmt hr hr_expense hr_holidays hr_recruitment im_livechat
  lunch mail maintenance mass_mailing mrp note payment point_of_sale portal product project purchase repair sale
  sale_management sales_team sms spreadsheet stock survey uom web_editor website website_blog website_event
  website_sale website_slides`.split(/\s+/);
