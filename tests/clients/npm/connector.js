/*
 * How the npm package blynk-library connects: over TLS, or, with NPM_CLIENT_WEBSOCKET=ws or wss in
 * the environment, over a WebSocket by way of the library's connector for browsers. What a browser
 * has there is the npm package ws here, and as that connector knows ws alone, wss is put in for it.
 *
 * The certificate is verified against CA.pem, and nothing goes further without.
 */
'use strict';

const Blynk = require('blynk-library');

function sslConnector(host, port, ca) {
  return new Blynk.SslClient({ addr: host, port: Number(port), ca: [ca], servername: 'localhost' });
}

function websocketConnector(scheme, host, port, ca) {
  const WebSocket = require('ws');

  global.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url.replace(/^ws:/, scheme + ':'),
            { ca: require('fs').readFileSync(ca), servername: 'localhost' });
    }
  };
  global.window = { WebSocket: global.WebSocket };
  const { WsClient } = require('blynk-library/blynk-browser.js');

  return new WsClient({ addr: host, port: Number(port), path: '/websockets' });
}

module.exports = (host, port, ca) => {
  const scheme = process.env.NPM_CLIENT_WEBSOCKET;

  return scheme ? websocketConnector(scheme, host, port, ca) : sslConnector(host, port, ca);
};
