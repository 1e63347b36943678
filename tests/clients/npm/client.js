/*
 * The npm package blynk-library 0.5.4 as a device: logs in over TLS, writes COUNT values, sets a
 * property, logs an event, asks for its values, and leaves once a PING sent after all of that is
 * answered. What the gateway says is recorded on its way into the library, which itself shows
 * nothing of it.
 *
 *     node client.js HOST PORT CA.pem TOKEN PRODUCT COUNT
 *
 * By TLS or WebSocket, as connector.js says. The library never sends a product, so PRODUCT stays
 * unused: the token alone decides.
 */
'use strict';

const Blynk = require('blynk-library');
const connectorTo = require('./connector.js');

const [host, port, ca, token, , countText] = process.argv.slice(2);
const count = Number(countText);
const RESPONSE = 0, PING = 6;
const responses = new Map(); // id -> status
const sent = []; // {type, id}
let refusedByLibrary = 0;

function fail(why) {
  console.error('client.js: ' + why);
  process.exit(1);
}

const slow = Number(process.env.TOLLGATE_TEST_SLOW) || 1; // as tests/system/process.h says
setTimeout(() => fail(`not done after ${30 * slow} s: ` + JSON.stringify([...responses])),
           30000 * slow);

const blynk = new Blynk.Blynk(token, {
  connector: connectorTo(host, port, ca),
  heartbeat: 300,
  skip_connect: true,
});
const receive = blynk.onReceive.bind(blynk);
const send = blynk.sendRsp.bind(blynk);
let written = false;

blynk.onReceive = (data) => {
  for (let at = 0; at + 5 <= data.length;) { // the gateway sends whole frames only
    const type = data.charCodeAt(at);
    const id = data.charCodeAt(at + 1) << 8 | data.charCodeAt(at + 2);
    const length = data.charCodeAt(at + 3) << 8 | data.charCodeAt(at + 4);

    if (id === 0)
      fail('a frame with id 0');
    if (type === RESPONSE)
      responses.set(id, length);
    at += type === RESPONSE ? 5 : 5 + length;
    if (at > data.length)
      fail('a frame in pieces');
  }
  receive(data);
  check();
};
blynk.sendRsp = (type, id, length, data) => {
  send(type, id, length, data);
  if (type !== RESPONSE)
    sent.push({ type, id: id || blynk.msg_id });
};

function check() {
  const property = sent.findIndex((frame) => frame.type === 19);
  const ping = sent.findIndex((frame, i) => written && i > property && frame.type === PING);

  if (ping < 0 || !responses.has(sent[ping].id))
    return;
  const of = (type) => responses.get(sent.find((frame) => frame.type === type).id);
  if (responses.get(1) !== 200)
    fail('login answered ' + responses.get(1));
  if (of(17) !== 200)
    fail('info answered ' + of(17));
  if (of(19) !== 200)
    fail('property answered ' + of(19));
  if (of(64) !== 200)
    fail('event answered ' + of(64));
  if (responses.get(sent[ping].id) !== 200)
    fail('PING answered ' + responses.get(sent[ping].id));
  if (sent.some((frame) => frame.type === 20 && responses.has(frame.id)))
    fail('a write was answered');
  if (refusedByLibrary > 0)
    fail('the library did not understand a frame');
  console.log(`client.js: ${count} writes, ${responses.size} answers`);
  process.exit(0);
}

blynk.on('connect', () => {
  for (let i = 0; i < count; i++)
    blynk.virtualWrite(i % 8, i);
  blynk.setProperty(1, 'color', '#D3435C');
  blynk.eventLog('hot', 'desc');
  blynk.syncAll();
  written = true;
});
blynk.on('error', (error) => fail('the library says: ' + error));
blynk.on('disconnect', () => fail('disconnected'));
const log = console.log;
console.log = (...words) => {
  if (String(words[0]).startsWith('Invalid'))
    refusedByLibrary++;
  log(...words);
};
blynk.connect();
