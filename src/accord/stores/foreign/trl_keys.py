"""The vocabulary of TRL 1.16: its keys, its defaults, and why some have no counterpart in a plan.

Keys are those of SFTConfig, RewardConfig, DPOConfig and GRPOConfig with what they inherit from transformers'
TrainingArguments, of ModelConfig, ScriptArguments and DatasetMixtureConfig; and of PPOConfig as TRL last had
it. A key that stands in no table here is none of TRL's. What the others become is in ``trl.py``.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ALIASES", "DEFAULTS", "FIXED", "OWN", "REASONS", "TRANSLATED", "Fixed"]

_ALL = ("sft", "reward_model", "dpo", "grpo", "ppo")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What belongs to the config of one method; so a file tells which method it is for.
OWN: dict[str, frozenset[str]] = {
    "sft": _words(
        "dataset_text_field dataset_kwargs shuffle_dataset packing packing_strategy eval_packing loss_type "
        "completion_only_loss assistant_only_loss chat_template_path eos_token truncation_mode padding_free "
        "activation_offloading pad_token"
    ),
    "reward_model": _words(
        "center_rewards_coefficient chat_template_path eos_token disable_dropout activation_offloading "
        "pad_token"
    ),
    "dpo": _words(
        "disable_dropout truncation_mode padding_free precompute_ref_log_probs precompute_ref_batch_size "
        "loss_type loss_weights ld_alpha f_divergence_type f_alpha_divergence_coef label_smoothing beta "
        "use_weighting discopop_tau sync_ref_model ref_model_mixup_alpha ref_model_sync_steps pad_token "
        "activation_offloading"
    ),
    "grpo": _words(
        "disable_dropout cast_lm_head_to_fp32 num_generations num_generations_eval max_completion_length "
        "ds3_gather_for_generation shuffle_dataset generation_batch_size steps_per_generation temperature "
        "top_p top_k min_p generation_kwargs chat_template_kwargs repetition_penalty cache_implementation "
        "use_vllm vllm_mode vllm_model_impl vllm_enable_sleep_mode vllm_structured_outputs_regex "
        "vllm_server_base_url vllm_server_host vllm_server_port vllm_server_timeout vllm_group_port "
        "vllm_gpu_memory_utilization vllm_max_model_length vllm_tensor_parallel_size "
        "vllm_importance_sampling_correction vllm_importance_sampling_mode "
        "vllm_importance_sampling_clip_max vllm_importance_sampling_clip_min vllm_importance_sampling_cap "
        "beta num_iterations epsilon delta epsilon_high sapo_temperature_neg sapo_temperature_pos "
        "vespo_k_pos vespo_lambda_pos vespo_k_neg vespo_lambda_neg importance_sampling_level reward_weights "
        "multi_objective_aggregation scale_rewards loss_type mask_truncated_completions sync_ref_model "
        "ref_model_mixup_alpha ref_model_sync_steps top_entropy_quantile entropy_coef use_adaptive_entropy "
        "entropy_coef_min entropy_coef_max entropy_coef_delta entropy_target max_tool_calling_iterations "
        "off_policy_mask_threshold use_bias_correction_kl log_completions log_multimodal "
        "num_completions_to_print log_unique_prompts log_completions_hub_repo "
        "use_transformers_continuous_batching transformers_continuous_batching_config "
        "use_transformers_paged reward_model_name_or_path reward_funcs"
    ),
    "ppo": _words(
        "num_mini_batches total_episodes local_rollout_forward_batch_size num_sample_generations "
        "response_length stop_token stop_token_id temperature missing_eos_penalty sft_model_path world_size "
        "num_total_batches micro_batch_size local_batch_size batch_size local_mini_batch_size "
        "mini_batch_size exp_name reward_model_path model_adapter_name ref_adapter_name num_ppo_epochs "
        "whiten_rewards kl_coef kl_estimator cliprange vf_coef cliprange_value gamma lam "
        "ds3_gather_for_generation"
    ),
}

# The keys that trl.py reads; each ends as something mapped, or with the reason why not.
TRANSLATED = _words(
    "model_name_or_path sft_model_path dataset_name datasets dataset_train_split seed run_name output_dir "
    "learning_rate weight_decay max_grad_norm adam_beta1 adam_beta2 adam_epsilon lr_scheduler_type "
    "warmup_steps warmup_ratio use_peft lora_r lora_alpha per_device_train_batch_size "
    "gradient_accumulation_steps generation_batch_size steps_per_generation num_mini_batches "
    "num_train_epochs max_steps total_episodes eval_strategy eval_steps load_best_model_at_end "
    "save_strategy save_steps save_total_limit loss_type label_smoothing beta center_rewards_coefficient "
    "num_generations max_completion_length response_length temperature num_iterations num_ppo_epochs "
    "epsilon epsilon_high cliprange cliprange_value vf_coef gamma lam kl_coef scale_rewards whiten_rewards "
    "missing_eos_penalty mask_truncated_completions "
    "reward_model_name_or_path reward_model_path reward_funcs reward_weights"
)

# Names that older configs use for the same thing.
ALIASES = {
    "max_seq_length": "max_length",
    "torch_dtype": "dtype",
    "evaluation_strategy": "eval_strategy",
    "max_new_tokens": "max_completion_length",
}

# What a key means where the file leaves it out; only keys that a plan's settings come from.
_TRAINING = {
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 3.0,
    "max_steps": -1,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
    "seed": 42,
    "eval_strategy": "no",
    "load_best_model_at_end": False,
    "use_peft": False,
    "lora_r": 16,
    "lora_alpha": 32,
}
DEFAULTS: dict[str, dict[str, object]] = {
    "sft": {**_TRAINING, "learning_rate": 2e-5},
    "reward_model": {
        **_TRAINING,
        "learning_rate": 1e-4,
        "center_rewards_coefficient": None,
    },
    "dpo": {
        **_TRAINING,
        "learning_rate": 1e-6,
        "beta": 0.1,
        "loss_type": ["sigmoid"],
        "label_smoothing": 0.0,
    },
    "grpo": {
        **_TRAINING,
        "learning_rate": 1e-6,
        "num_generations": 8,
        "max_completion_length": 512,
        "temperature": 1.0,
        "beta": 0.0,
        "num_iterations": 1,
        "epsilon": 0.2,
        "epsilon_high": None,
        "loss_type": "dapo",
        "mask_truncated_completions": False,
        "scale_rewards": "group",
    },
    "ppo": {
        **_TRAINING,
        "learning_rate": 5e-5,
        "num_mini_batches": 1,
        "response_length": 53,
        "temperature": 0.7,
        "num_ppo_epochs": 4,
        "kl_coef": 0.05,
        "cliprange": 0.2,
        "cliprange_value": 0.2,
        "vf_coef": 0.1,
        "gamma": 1.0,
        "lam": 0.95,
        "whiten_rewards": False,
    },
}


class Fixed(NamedTuple):
    """A key with values that mean what Accord always does; any other value has no counterpart."""

    same: tuple[object, ...]
    reason: str
    by_default: object = None  # what TRL does where the file leaves it out, if that is something else
    where: str = ""  # the default counts only where this key is true


_WHOLE_DISTRIBUTION = (
    "answers are drawn from the whole distribution, so that log-probabilities are the policy's own"
)
_NO_DROPOUT = "dropout is off in all training here"
_LINEAR = "LoRA is on all linear layers here"
_PLAIN_LORA = "LoRA here is the plain one: scale alpha / rank, on linear layers alone"
_ONE_LOSS = "a variant of the loss that Accord does not have"
_REFERENCE = "the reference is where the stage starts, and stays there"
FIXED: dict[str, Fixed] = {
    "top_p": Fixed((1, 1.0), _WHOLE_DISTRIBUTION),
    "top_k": Fixed((0, None), _WHOLE_DISTRIBUTION),
    "min_p": Fixed((None, 0), _WHOLE_DISTRIBUTION),
    "repetition_penalty": Fixed((1, 1.0), _WHOLE_DISTRIBUTION),
    "lora_dropout": Fixed((0, 0.0), _NO_DROPOUT, 0.05, "use_peft"),
    "lora_target_modules": Fixed(
        ("all-linear", ["all-linear"]), _LINEAR, "what PEFT knows of the architecture", "use_peft"
    ),
    "lora_target_parameters": Fixed((None,), _PLAIN_LORA),
    "lora_modules_to_save": Fixed((None,), _PLAIN_LORA),
    "use_rslora": Fixed((False,), _PLAIN_LORA),
    "use_dora": Fixed((False,), _PLAIN_LORA),
    "disable_dropout": Fixed((True,), _NO_DROPOUT),
    "optim": Fixed(("adamw_torch", "adamw_torch_fused", "adamw_hf"), "the optimizer is AdamW"),
    "label_smoothing_factor": Fixed((0, 0.0), _ONE_LOSS),
    "neftune_noise_alpha": Fixed((None,), _ONE_LOSS),
    "packing": Fixed((False,), "rows are computed side by side without padding, and never see each other"),
    "eval_packing": Fixed((False, None), "rows are computed side by side without padding"),
    "truncation_mode": Fixed(("keep_start",), "of a row that is too long the start is kept"),
    "ld_alpha": Fixed((None, 1, 1.0), _ONE_LOSS),
    "loss_weights": Fixed((None,), _ONE_LOSS),
    "f_divergence_type": Fixed(("reverse_kl",), _ONE_LOSS),
    "use_weighting": Fixed((False,), _ONE_LOSS),
    "sync_ref_model": Fixed((False,), _REFERENCE),
    "delta": Fixed((None,), _ONE_LOSS),
    "importance_sampling_level": Fixed(("token",), _ONE_LOSS),
    "multi_objective_aggregation": Fixed(("sum_then_normalize",), _ONE_LOSS),
    "off_policy_mask_threshold": Fixed((None,), _ONE_LOSS),
    "top_entropy_quantile": Fixed((1, 1.0), _ONE_LOSS),
    "entropy_coef": Fixed((0, 0.0), _ONE_LOSS),
    "use_adaptive_entropy": Fixed((False,), _ONE_LOSS),
    "use_bias_correction_kl": Fixed((True,), "KL in the loss is k3 times the ratio, which is unbiased"),
    "max_tool_calling_iterations": Fixed((None,), "an answer is one turn here"),
    "kl_estimator": Fixed(("k1",), "the KL in the reward is k1, which is unbiased"),
    "stop_token": Fixed(("eos",), "an answer ends with the model's own end", None),
    "stop_token_id": Fixed((None,), "an answer ends with the model's own end"),
    "completion_only_loss": Fixed((True, None), "of a prompt nothing is learnt"),
    "train_sampling_strategy": Fixed(("random",), "every pass takes the rows in a new seeded order"),
    "remove_unused_columns": Fixed((False,), "columns stay with their prompts, for whoever judges answers"),
    "full_determinism": Fixed((True,), "runs repeat to the bit on one kind of machine"),
    "ignore_data_skip": Fixed((False,), "a resumed run goes on where it was in the data"),
    "eval_on_start": Fixed((True,), "the held-out rows are always read before the start too"),
    "metric_for_best_model": Fixed(
        ("loss", "eval_loss", None), "the best weights are those of the lowest loss"
    ),
    "greater_is_better": Fixed((False, None), "the best weights are those of the lowest loss"),
    "use_cpu": Fixed((False,), "learner.device says it"),
    "load_in_4bit": Fixed((False,), "weights of 4 or 8 bits are not trained here"),
    "load_in_8bit": Fixed((False,), "weights of 4 or 8 bits are not trained here"),
}

REASONS: dict[str, str] = {
    key: reason
    for reason, keys in {
        "memory and speed, not what is learnt; Accord decides by measuring": """gradient_checkpointing
            gradient_checkpointing_kwargs activation_checkpointing activation_checkpointing_kwargs
            activation_offloading torch_compile torch_compile_backend torch_compile_mode
            use_liger_kernel liger_kernel_config use_cache torch_empty_cache_steps auto_find_batch_size
            dataset_num_proc padding_free pad_to_multiple_of precompute_ref_log_probs
            precompute_ref_batch_size cache_implementation attn_implementation
            local_rollout_forward_batch_size per_device_eval_batch_size eval_accumulation_steps
            dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers
            dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order
            length_column_name packing_strategy use_transformers_continuous_batching
            transformers_continuous_batching_config use_transformers_paged skip_memory_metrics""",
        "weights stay in float32, and bfloat16 computes where it is faster on this machine": """bf16
            fp16 dtype tf32 bf16_full_eval fp16_full_eval cast_lm_head_to_fp32""",
        "processes and devices are said to accelerate launch, not in a plan": """fsdp fsdp_config
            deepspeed accelerator_config parallelism_config ddp_find_unused_parameters
            ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph ddp_backend ddp_timeout local_rank
            world_size average_tokens_across_devices ds3_gather_for_generation ignore_bias_buffers""",
        "Accord samples by itself, with the weights it trains": """use_vllm vllm_mode vllm_model_impl
            vllm_enable_sleep_mode vllm_structured_outputs_regex vllm_server_base_url vllm_server_host
            vllm_server_port vllm_server_timeout vllm_group_port vllm_gpu_memory_utilization
            vllm_max_model_length vllm_tensor_parallel_size vllm_importance_sampling_correction
            vllm_importance_sampling_mode vllm_importance_sampling_clip_max
            vllm_importance_sampling_clip_min vllm_importance_sampling_cap generation_kwargs""",
        "every figure of a run is in its folder, whatever is shown meanwhile": """logging_strategy
            logging_steps logging_first_step logging_nan_inf_filter logging_dir log_on_each_node
            log_level log_level_replica disable_tqdm include_num_input_tokens_seen log_completions
            log_multimodal num_completions_to_print log_unique_prompts num_sample_generations
            include_for_metrics batch_eval_metrics prediction_loss_only eval_do_concat_batches
            eval_use_gather_object debug""",
        "a plan names no tracker; accord track sends a run to one": """report_to project
            trackio_space_id trackio_bucket_id trackio_static_space_id""",
        "Accord uploads nothing": """push_to_hub hub_token hub_private_repo hub_model_id hub_strategy
            hub_always_push hub_revision log_completions_hub_repo""",
        "a checkpoint is whole, and accord resume finds it": """save_only_model save_on_each_node
            enable_jit_checkpoint resume_from_checkpoint restore_callback_states_from_checkpoint
            overwrite_output_dir""",
        "code that comes with a model is never run": "trust_remote_code",
        "models are opened from a folder as it is": "model_revision model_init_kwargs",
        "weights of 4 or 8 bits are not trained here": """bnb_4bit_quant_type use_bnb_nested_quant
            bnb_4bit_quant_storage""",
        "mixtures of experts are not supported": "router_aux_loss_coef",
        "what a model is told from its method": "lora_task_type model_adapter_name ref_adapter_name",
        "the chat template and the end of an answer are those of the model's folder": """
            chat_template_path chat_template_kwargs eos_token pad_token""",
        "the form of the data is seen from its columns": """dataset_text_field dataset_kwargs
            label_names assistant_only_loss""",
        "data are read from files; download the set, and name its file by --data": """dataset_config
            dataset_streaming streaming""",
        "held-out rows are named by --eval FILE": "dataset_test_split test_split_size do_eval eval_delay",
        "a plan trains; other commands do the rest": "do_train do_predict",
        "rows are drawn in a seeded order": "data_seed shuffle_dataset",
        "every row is learnt; the last step may be smaller": "dataloader_drop_last",
        "it belongs to a loss that Accord does not have": """f_alpha_divergence_coef discopop_tau
            sapo_temperature_neg sapo_temperature_pos vespo_k_pos vespo_lambda_pos vespo_k_neg
            vespo_lambda_neg entropy_coef_min entropy_coef_max entropy_coef_delta entropy_target""",
        _REFERENCE: "ref_model_mixup_alpha ref_model_sync_steps",
        "held-out prompts are answered as often as [stage.held_out] says": "num_generations_eval",
        "the optimizer is AdamW with one rate": "optim_args optim_target_modules",
        "TRL computes it from other keys": """num_total_batches micro_batch_size local_batch_size
            batch_size local_mini_batch_size mini_batch_size exp_name""",
        "prompts and answers have limits of their own, source.max_prompt_tokens and .max_answer_tokens": (
            "max_length"
        ),
        "the schedule has no further settings": "lr_scheduler_kwargs",
        "what the environment holds is set by whoever starts the run": "env",
        "a key of older versions; answers and prompts are kept or dropped whole": "max_prompt_length",
    }.items()
    for key in keys.split()
}
