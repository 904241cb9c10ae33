"""A client by Eclipse Paho: publishes COUNT messages on TOPIC and expects as many on ANSWER, then ends.

Arguments as JSON: host, port, version (4 or 5), qos, count, topic, answer, and optionally path (WebSocket), ca, cert, key.
Prints "ready" once it is subscribed, and each message that comes: topic, QoS and payload.
"""
import json
import sys

import paho.mqtt.client as mqtt

how = json.loads(sys.argv[1])
client = mqtt.Client(
    client_id=how.get("clientId", ""),
    protocol=mqtt.MQTTv5 if how["version"] == 5 else mqtt.MQTTv311,
    transport="websockets" if "path" in how else "tcp",
)
if "path" in how:
    client.ws_set_options(path=how["path"])
if "ca" in how:
    client.tls_set(ca_certs=how["ca"], certfile=how.get("cert"), keyfile=how.get("key"))
left = {"received": how["count"], "published": how["count"]}


def end_if_done():
    if left["received"] == 0 and left["published"] == 0:
        client.disconnect()


def on_connect(client, userdata, flags, code, properties=None):
    if code != 0:
        print("refused", code, flush=True)
        sys.exit(1)
    client.subscribe(how["answer"], how["qos"])


def on_subscribe(client, userdata, identifier, granted, properties=None):
    print("ready", flush=True)
    for number in range(how["count"]):
        client.publish(how["topic"], str(number), how["qos"])


def on_publish(client, userdata, identifier):
    left["published"] -= 1
    end_if_done()


def on_message(client, userdata, message):
    print(message.topic, message.qos, message.payload.decode(), flush=True)
    left["received"] -= 1
    end_if_done()


client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_publish = on_publish
client.on_message = on_message
client.connect(how["host"], how["port"], keepalive=20)
client.loop_forever()
