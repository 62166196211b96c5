"""Which layer? One a file, under one contract, and one backbone to put them in."""

from ssmemory.nn.alike import SizedLayer, layers_alike
from ssmemory.nn.attention import Attention
from ssmemory.nn.backbone import LAYERS, Backbone, BackboneConfig
from ssmemory.nn.bidirectional import Bidirectional
from ssmemory.nn.comparison import ComparedMemory, Comparison, compare_layers
from ssmemory.nn.detect_nan import detect_nan
from ssmemory.nn.linear_attention import LinearAttention
from ssmemory.nn.linear_rnn import LinearRNN
from ssmemory.nn.lru import LRU
from ssmemory.nn.param_groups import param_groups
from ssmemory.nn.reduce import LayerReduction, reduce_layer, reduce_model
from ssmemory.nn.roles import Role, named_roles
from ssmemory.nn.s4 import S4
from ssmemory.nn.s4d import S4D
from ssmemory.nn.s5 import S5
from ssmemory.nn.state_bytes import largest_d_state, state_bytes
from ssmemory.nn.storage import load_model, save_model
from ssmemory.nn.systems import named_systems

__all__ = [
    "LAYERS",
    "LRU",
    "S4",
    "S4D",
    "S5",
    "Attention",
    "Backbone",
    "BackboneConfig",
    "Bidirectional",
    "ComparedMemory",
    "Comparison",
    "LayerReduction",
    "LinearAttention",
    "LinearRNN",
    "Role",
    "SizedLayer",
    "compare_layers",
    "detect_nan",
    "largest_d_state",
    "layers_alike",
    "load_model",
    "named_roles",
    "named_systems",
    "param_groups",
    "reduce_layer",
    "reduce_model",
    "save_model",
    "state_bytes",
]
