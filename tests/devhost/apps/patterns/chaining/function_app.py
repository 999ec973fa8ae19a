"""Function chaining: steps in a fixed order, each with the result of the one before."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("orders", methods=["POST"])
@app.durable_client_input("client")
async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("order", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger("context")
def order(context: df.DurableOrchestrationContext):
    try:
        priced = yield context.call_activity("price", context.get_input())
        paid = yield context.call_activity("charge", priced)
        return (yield context.call_activity("ship", paid))
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing more specific
        yield context.call_activity("apologize", str(error).splitlines()[0])
        return "apologized"


@app.activity_trigger("order")
def price(order: dict) -> dict:
    return order | {"price": 3 * order["count"]}


@app.activity_trigger("order")
def charge(order: dict) -> dict:
    if order["price"] > 100:
        raise ValueError("too much")
    return order | {"paid": True}


@app.activity_trigger("order")
def ship(order: dict) -> str:
    return f"{order['count']} for {order['price']}"


@app.activity_trigger("reason")
def apologize(reason: str) -> None:
    return None
