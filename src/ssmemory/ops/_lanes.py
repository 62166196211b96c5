"""Eight neighbouring numbers as one value of numba's compiled loops, which LLVM keeps in vector registers.

A loop over lanes leaves it to the vectoriser what stays in a register, and it keeps sums in memory. Here
``load(array, i)`` gives the eight numbers from ``array[i]`` on, to be added, subtracted and multiplied like one, and
``store(array, i, value)`` puts them back. No index is checked. Any processor will do. Numba's cache of loops does not
notice a change in this file: change theirs as well.
"""

import operator
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, overload, register_model

LANES = 8


class Lanes(types.Type):
    """The type of eight numbers, float32 or float64."""

    def __init__(self, dtype: types.Float) -> None:
        super().__init__(name=f"Lanes({dtype})")
        self.dtype = dtype


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, ir.VectorType(manager.lookup(lanes.dtype).get_value_type(), LANES))


def _lanes_of(array: Any) -> Lanes:
    if not isinstance(array, types.Array) or array.ndim != 1 or array.layout != "C":
        raise TypingError(f"lanes lie in a flat, contiguous array, not in {array}")
    return Lanes(array.dtype)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> tuple[Any, int]:
    """Return the address of eight items of an array, and how it is aligned: as an item is."""
    data = context.make_array(kind)(context, builder, array).data
    vector = context.get_value_type(Lanes(kind.dtype)).as_pointer()
    return builder.bitcast(builder.gep(data, [index]), vector), kind.dtype.bitwidth // 8


def _load(_: Any, array: Any, index: Any) -> Any:
    """Return ``array[index : index + 8]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, alignment = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=alignment)

    return _lanes_of(array)(array, types.intp), code


def _store(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Set ``array[index : index + 8]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, alignment = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=alignment)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes_of(array)), code


def _zeros(_: Any, array: Any) -> Any:
    """Return eight zeros of an array's dtype."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_value_type(signature.return_type)(None)

    return _lanes_of(array)(array), code


def _widened(_: Any, value: Any) -> Any:
    """Return eight numbers in double precision."""
    wide = Lanes(types.float64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        is_wide = signature.args[0] == wide
        return arguments[0] if is_wide else builder.fpext(arguments[0], context.get_value_type(wide))

    return wide(value), code


def _spread(_: Any, array: Any, index: Any, like: Any) -> Any:
    """Return ``array[index]`` eight times, in the precision of another array, which is not the lower one."""
    lanes = Lanes(like.dtype)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        value = builder.load(builder.gep(data, [arguments[1]]))
        vector = context.get_value_type(lanes)
        if signature.args[0].dtype != lanes.dtype:
            value = builder.fpext(value, vector.element)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    return lanes(array, types.intp, like), code


def _above_zero(_: Any, value: Any) -> Any:
    """Return 1 in lanes above zero, and 0 in the others."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(signature.return_type)
        return builder.uitofp(builder.fcmp_ordered(">", arguments[0], ir.Constant(vector, None)), vector)

    return value(value), code


def _positive(_: Any, value: Any) -> Any:
    """Return lanes above zero as they are, and 0 in the others."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(context.get_value_type(signature.return_type), None)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), arguments[0], zero)

    return value(value), code


def _swapped(_: Any, value: Any) -> Any:
    """Return lanes with every two neighbours swapped."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [lane ^ 1 for lane in range(LANES)])
        return builder.shuffle_vector(arguments[0], arguments[0], order)

    return value(value), code


def _rounded(_: Any, value: Any, array: Any) -> Any:
    """Return lanes of double precision in that of an array."""
    narrow = Lanes(array.dtype)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        is_narrow = signature.args[0] == narrow
        return arguments[0] if is_narrow else builder.fptrunc(arguments[0], context.get_value_type(narrow))

    return narrow(value, array), code


load: Any = intrinsic(_load)
store: Any = intrinsic(_store)
zeros: Any = intrinsic(_zeros)
widened: Any = intrinsic(_widened)
spread: Any = intrinsic(_spread)
above_zero: Any = intrinsic(_above_zero)
positive: Any = intrinsic(_positive)
swapped: Any = intrinsic(_swapped)
rounded: Any = intrinsic(_rounded)


def _register(operation: Any, instruction: str) -> None:
    """Teach numba an operator; "contract" lets a product and a sum become one fused instruction, and nothing else."""

    def emitted(_: Any, a: Any, b: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments, flags=("contract",))

        return a(a, b), code

    emit: Any = intrinsic(emitted)

    @overload(operation)
    def typed(a, b):  # type: ignore[no-untyped-def] # numba wants it to be declared just as what it returns
        return (lambda a, b: emit(a, b)) if isinstance(a, Lanes) and a == b else None


_register(operator.add, "fadd")
_register(operator.sub, "fsub")
_register(operator.mul, "fmul")
